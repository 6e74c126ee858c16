leat_fuzz_target(fuzz_auth_jwt SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/auth_jwt.cc LINKS leat_auth
  CORPUS auth_jwt)
