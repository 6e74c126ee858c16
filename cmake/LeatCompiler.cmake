# One place for everything the compiler is told.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(LEAT_SANITIZE "" CACHE STRING "value of -fsanitize= (address,undefined or thread)")

find_program(LEAT_CCACHE ccache)
if(LEAT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${LEAT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LEAT_CCACHE})
endif()

# Paths in binaries are relative, so that two checkouts build the same bytes.
# Bytes are read and written through structures of the kernel and of protocols: no guesses from types.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -fno-omit-frame-pointer
  -fno-strict-aliasing)

# Warnings are errors in our own code only; leat_warnings is linked privately by every target of ours.
add_library(leat_warnings INTERFACE)
target_compile_options(leat_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
    -Wimplicit-fallthrough -Wcast-qual -Wconversion -Wno-sign-conversion
    -Wno-missing-field-initializers -Werror>)

if(LEAT_SANITIZE)
  add_compile_options(-fsanitize=${LEAT_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LEAT_SANITIZE})
  add_compile_definitions(LEAT_SANITIZED=1)
endif()

find_program(LEAT_MOLD mold)
if(LEAT_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(LEAT_FAST_LINK -fuse-ld=mold)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g0")
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g0")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS
    -fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options(-fcf-protection)
  endif()
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
  # Fat objects: the shipped binary is linked with LTO, the many test programs without it, which
  # keeps a clean build short.
  add_compile_options(-flto=auto -ffat-lto-objects)
  set(LEAT_LTO_LINK -flto=auto -fuse-linker-plugin -O2)
  set(LEAT_PLAIN_COMPILE -fno-lto)
  set(LEAT_PLAIN_LINK -fno-lto ${LEAT_FAST_LINK})
else()
  add_link_options(${LEAT_FAST_LINK})
endif()

# leat_shipped(target): the binary people install. It lies at the top of the build tree, needs nothing
# but the C library, and carries no symbols in a release.
function(leat_shipped target)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_link_options(${target} PRIVATE ${LEAT_LTO_LINK} -static-libstdc++ -static-libgcc -s)
  endif()
endfunction()
