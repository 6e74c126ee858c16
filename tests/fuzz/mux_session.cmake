leat_fuzz_target(mux_session_fuzz
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/mux_session_fuzz.cc
  LINKS leat_mux
  CORPUS mux_session)
