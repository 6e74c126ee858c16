#include "support/freed_memory.h"

#include <malloc.h>
#include <string.h>

#include <cstdlib>
#include <new>

namespace {

std::string_view wanted;
std::size_t found;

void* allocate(std::size_t size) {
  void* const p = std::calloc(1, size);  // what others left in it is not ours
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

void release(void* p) {
  if (p != nullptr && !wanted.empty()) {
    found += ::memmem(p, malloc_usable_size(p), wanted.data(), wanted.size()) != nullptr;
  }
  std::free(p);
}

}  // namespace

void leat::test::look_for(std::string_view needle) {
  wanted = needle;
  found = 0;
}

std::size_t leat::test::freed_with_it() { return found; }

void* operator new(std::size_t n) { return allocate(n); }
void* operator new[](std::size_t n) { return allocate(n); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
