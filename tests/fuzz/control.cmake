leat_fuzz_target(fuzz_control_messages
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/control_messages.cc LINKS leat_control
  CORPUS control_messages)
