leat_fuzz_target(mux_frame_fuzz
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/mux_frame_fuzz.cc
  LINKS leat_mux
  CORPUS mux_frame)
