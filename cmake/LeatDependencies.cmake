# Every dependency is a Debian 12 package and is linked from its static archive, so that the one binary
# runs where nothing is installed. CMake's own find modules prefer shared objects; this does not.

function(leat_static name archive)
  find_library(LEAT_LIB_${name} NAMES lib${archive}.a REQUIRED)
  add_library(leat_dep_${name} STATIC IMPORTED GLOBAL)
  set_target_properties(leat_dep_${name} PROPERTIES IMPORTED_LOCATION ${LEAT_LIB_${name}})
endfunction()

find_package(Threads REQUIRED)

leat_static(crypto crypto)
leat_static(ssl ssl)
leat_static(sodium sodium)
leat_static(sqlite sqlite3)
leat_static(yaml yaml-cpp)
leat_static(protobuf protobuf-lite)
leat_static(qr qrcodegencpp)
target_link_libraries(leat_dep_crypto INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
target_link_libraries(leat_dep_ssl INTERFACE leat_dep_crypto)
target_link_libraries(leat_dep_sqlite INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
target_link_libraries(leat_dep_protobuf INTERFACE Threads::Threads)
target_compile_definitions(leat_dep_yaml INTERFACE YAML_CPP_STATIC_DEFINE)

# Abseil's package config names its static archives or its shared objects by what it finds first; the
# hash tables we use need only these.
foreach(part raw_hash_set hash city low_level_hash hashtablez_sampler exponential_biased
             synchronization graphcycles_internal stacktrace symbolize debugging_internal
             demangle_internal malloc_internal time time_zone civil_time strings
             strings_internal int128 base spinlock_wait throw_delegate raw_logging_internal
             log_severity bad_optional_access bad_variant_access)
  find_library(LEAT_ABSL_${part} NAMES libabsl_${part}.a REQUIRED)
  list(APPEND leat_absl_archives ${LEAT_ABSL_${part}})
endforeach()
add_library(leat_dep_absl INTERFACE)
target_link_libraries(leat_dep_absl INTERFACE
  -Wl,--start-group ${leat_absl_archives} -Wl,--end-group Threads::Threads)

# Header-only: standalone Asio (compiled once, in src/net/asio_impl.cc), tl::expected, CLI11,
# nlohmann/json, spdlog over header-only fmt.
find_path(LEAT_ASIO_INCLUDE asio.hpp REQUIRED)
# Whether it finds std::aligned_alloc depends on what a file has included before it, and memory of one kind
# would be freed as the other: without.
add_library(leat_dep_asio INTERFACE)
target_compile_definitions(leat_dep_asio INTERFACE
  ASIO_STANDALONE ASIO_SEPARATE_COMPILATION ASIO_NO_DEPRECATED ASIO_DISABLE_VISIBILITY
  ASIO_DISABLE_STD_ALIGNED_ALLOC)
if(LEAT_SANITIZE MATCHES thread)
  # Its fences stand where a mutex orders already; the sanitizer knows mutexes and not fences.
  target_compile_definitions(leat_dep_asio INTERFACE ASIO_DISABLE_FENCED_BLOCK)
endif()
target_link_libraries(leat_dep_asio INTERFACE Threads::Threads)
find_path(LEAT_EXPECTED_INCLUDE tl/expected.hpp REQUIRED)
find_path(LEAT_JSON_INCLUDE nlohmann/json.hpp REQUIRED)
find_path(LEAT_SPDLOG_INCLUDE spdlog/spdlog.h REQUIRED)
find_path(LEAT_CLI11_INCLUDE CLI/CLI.hpp REQUIRED)

# llhttp ships as C sources; Debian's 8.1 defaults to the lenient mode, which we never want.
set(LEAT_LLHTTP_DIR /usr/share/llhttp CACHE PATH "llhttp C sources (package node-llhttp)")
set(LEAT_LLHTTP_INCLUDE /usr/share/include/llhttp CACHE PATH "llhttp.h (package node-llhttp)")
add_library(leat_dep_llhttp STATIC
  ${LEAT_LLHTTP_DIR}/api.c ${LEAT_LLHTTP_DIR}/http.c ${LEAT_LLHTTP_DIR}/llhttp.c)
target_include_directories(leat_dep_llhttp SYSTEM PUBLIC ${LEAT_LLHTTP_INCLUDE})
target_compile_definitions(leat_dep_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
set_source_files_properties(${LEAT_LLHTTP_DIR}/api.c ${LEAT_LLHTTP_DIR}/http.c
  ${LEAT_LLHTTP_DIR}/llhttp.c PROPERTIES COMPILE_OPTIONS "-w")
