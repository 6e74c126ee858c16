# The link layer's part of the net library.
set(LEAT_LINK_SOURCES link.cc link_chunk.cc link_handshake.cc link_log.cc link_receive.cc link_send.cc)
