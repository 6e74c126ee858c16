leat_fuzz_target(fuzz_tls_records
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/tls_records.cc LINKS leat_net CORPUS tls_records)
