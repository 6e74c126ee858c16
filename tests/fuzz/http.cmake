foreach(part head body proxy_protocol websocket sni)
  leat_fuzz_target(http_${part}_fuzz
    SOURCES http_${part}_fuzz.cc
    LINKS leat_http
    CORPUS http_${part})
endforeach()
