leat_fuzz_target(fuzz_sealed_opening
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/sealed_opening.cc LINKS leat_sealed CORPUS sealed_opening)
