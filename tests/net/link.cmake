# Tests of the link layer, in virtual time and without sockets.
leat_test(NAME net_link_test
  SOURCES link_chunk_test.cc link_log_test.cc link_test.cc link_receive_test.cc link_handshake_test.cc
    link_alloc_test.cc
  LINKS leat_net LABELS unit)
leat_test(NAME net_link_sim_test
  SOURCES link_sim_test.cc LINKS leat_net LABELS sim)
leat_test(NAME net_link_mux_sim_test
  SOURCES link_mux_sim_test.cc LINKS leat_net LABELS sim)
