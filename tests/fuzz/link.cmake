leat_fuzz_target(fuzz_link_feed
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/link_feed.cc LINKS leat_net CORPUS link_feed)
leat_fuzz_target(fuzz_link_handshake
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/link_handshake.cc LINKS leat_net CORPUS link_handshake)
