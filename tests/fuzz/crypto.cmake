leat_fuzz_target(fuzz_crypto_handshake
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/crypto_handshake.cc LINKS leat_crypto CORPUS crypto_handshake)
leat_fuzz_target(fuzz_crypto_record
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/crypto_record.cc LINKS leat_crypto CORPUS crypto_record)
