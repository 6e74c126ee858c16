// The log of a test, kept from the terminal so that its lines can be looked at.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"

namespace leat::test {

// Standard error goes to memory while one of these lives.
class Captured {
 public:
  explicit Captured(log::Format format = log::Format::text)
      : memory_(::memfd_create("stderr", MFD_CLOEXEC)), saved_(::dup(2)) {
    ::dup2(memory_, 2);
    log::configure(log::Level::info, format);
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  ~Captured() {
    ::dup2(saved_, 2);
    ::close(saved_);
    ::close(memory_);
    log::configure(log::Level::info, log::Format::text);
  }

  std::vector<std::string> lines() const {
    std::string text(static_cast<std::size_t>(::lseek(memory_, 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(memory_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    EXPECT_TRUE(text.empty() || text.back() == '\n');
    std::vector<std::string> out;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) out.push_back(line);
    return out;
  }

  // The events of that name, each as its JSON object; for log::Format::json.
  std::vector<nlohmann::json> events(std::string_view name) const {
    std::vector<nlohmann::json> out;
    for (const std::string& line : lines()) {
      auto event = nlohmann::json::parse(line, nullptr, false);
      if (event.is_object() && event.value("event", "") == name) out.push_back(std::move(event));
    }
    return out;
  }

  std::string line() const {
    const auto all = lines();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? "" : all.front();
  }

 private:
  int memory_, saved_;
};

}  // namespace leat::test
