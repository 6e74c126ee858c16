// Writes tests/vectors/sealed.json (tests/vectors/README.md says what is in it). Nothing in it is
// random: every key is the hash of its name.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "crypto/fixed.h"
#include "crypto/forger.h"
#include "crypto/unit.h"

namespace leat::crypto {
namespace {

using Json = nlohmann::ordered_json;
using test::Buffer;

constexpr std::size_t kShown = 200;  // longer records are given by their hash

Key named(std::string_view name) { return Key(sha256(as_bytes(name))); }

struct Fixed {
  KeyPair client{named("client static")}, agent{named("agent static")};
  Key client_ephemeral = named("client ephemeral"), agent_ephemeral = named("agent ephemeral");
  Buffer one_time_secret = test::from_hex("000102030405060708090a0b0c0d0e0f");
};

Json record(std::string_view from, std::string_view type, const Buffer& bytes,
            std::size_t padding = 0) {
  Json out = {{"from", from}, {"type", type}};
  if (padding > 0) out["padding"] = padding;
  if (bytes.size() <= kShown) {
    out["record"] = hex(bytes);
  } else {
    out["sha256"] = hex(sha256(bytes));
  }
  return out;
}

Json data(Channel& channel, std::string_view from, std::string_view content,
          std::size_t padding = 0) {
  Json out = record(from, "data", test::seal(channel, as_bytes(content), padding), padding);
  out["content"] = hex(as_bytes(content));
  return out;
}

Json filled(Channel& channel, std::string_view from, int fill, std::size_t size) {
  Buffer content(size);
  for (std::size_t i = 0; i < size; ++i) {
    content[i] = static_cast<std::uint8_t>(static_cast<std::size_t>(fill) + i);
  }
  Json out = record(from, "data", test::seal(channel, content));
  out["fill"] = fill;
  out["size"] = size;
  return out;
}

Json records(Channel& client, Channel& agent) {
  Json out = Json::array();
  out.push_back(data(client, "client", "GET / HTTP/1.1\r\n\r\n"));
  out.push_back(data(agent, "agent", "x"));
  out.push_back(data(client, "client", "padded", 26));
  out.push_back(filled(agent, "agent", 7, kMaxContent));
  out.push_back(record("client", "rekey", test::seal_rekey(client)));
  out.push_back(data(client, "client", "under the second key"));
  out.push_back(data(agent, "agent", "under the first, still"));
  out.push_back(record("client", "rekey", test::seal_rekey(client)));
  out.push_back(record("agent", "rekey", test::seal_rekey(agent)));
  out.push_back(data(client, "client", "under the third key"));
  out.push_back(data(agent, "agent", "under the second key"));
  out.push_back(record("client", "end", test::seal_end(client)));
  out.push_back(data(agent, "agent", "the other direction goes on"));
  out.push_back(record("agent", "end", test::seal_end(agent)));
  return out;
}

// First records that the agent must not take, authentic and others.
Json refused(Suite suite, const Key& key) {
  Json out = Json::array();
  const auto add = [&](std::string_view why, const Buffer& bytes) {
    out.push_back({{"fault", why}, {"record", hex(bytes)}});
  };
  const auto forged = [&](int type, std::size_t size, std::string_view rest) {
    return test::Forger(suite, key).record(type, size, as_bytes(rest));
  };
  const std::string zeros(8, '\0');
  add("bad_type", forged(0, 1, "x"));
  add("bad_type", forged(4, 1, "x"));
  add("malformed", forged(1, 0, ""));
  add("malformed", forged(1, 2, "x"));
  add("malformed", forged(1, 1, "xy"));
  add("malformed", forged(2, 1, "x"));
  add("malformed", forged(3, 7, std::string_view(zeros).substr(1)));
  add("bad_count", forged(3, 8, std::string("\0\0\0\0\0\0\0\1", 8)));
  add("not_authentic", test::Forger(suite, key, 1).record(1, 1, as_bytes("x")));
  add("not_authentic", test::Forger(suite, named("another key")).record(1, 1, as_bytes("x")));
  add("bad_length", {0, 0});
  add("bad_length", {0, 18});
  add("bad_length", {0x40, 0x14});
  return out;
}

Json session(Pattern pattern, Suite suite) {
  const Fixed fixed;
  const std::string prologue = sealed_prologue(fixed.agent.public_key());
  const Key psk = pairing_psk(fixed.one_time_secret);
  auto client =
      Handshake::initiator(pattern, as_bytes(prologue), fixed.client, fixed.agent.public_key());
  auto agent = Handshake::responder(pattern, as_bytes(prologue), fixed.agent);
  client.set_psk(psk);
  agent.set_psk(psk);
  FixedEphemeral::set(client, fixed.client_ephemeral.copy());
  FixedEphemeral::set(agent, fixed.agent_ephemeral.copy());
  const std::string_view payload_1 = "payload of message 1", payload_2 = "of message 2";
  const auto unit = [](UnitKind kind, const Buffer& message) {
    Buffer out(kUnitHeader);
    out.insert(out.end(), message.begin(), message.end());
    write_unit_header(out, kind, message.size());
    return hex(out);
  };
  const Buffer message_1 = test::write(client, as_bytes(payload_1)).value();
  test::read(agent, message_1).value();
  const Buffer message_2 = test::write(agent, as_bytes(payload_2)).value();
  test::read(client, message_2).value();
  const auto [client_key, agent_key] = FixedEphemeral::split(client);

  Json out;
  out["pattern"] = pattern == Pattern::ik ? "IK" : "IKpsk2";
  out["suite"] = test::name(suite);
  out["prologue"] = hex(as_bytes(prologue));
  if (pattern == Pattern::ik_psk2) {
    out["one_time_secret"] = hex(fixed.one_time_secret);
    out["psk"] = hex(psk.reveal());
  }
  out["client_static"] = hex(fixed.client.secret().reveal());
  out["client_ephemeral"] = hex(fixed.client_ephemeral.reveal());
  out["agent_static"] = hex(fixed.agent.secret().reveal());
  out["agent_ephemeral"] = hex(fixed.agent_ephemeral.reveal());
  out["payload_1"] = hex(as_bytes(payload_1));
  out["hello"] = unit(hello_kind(pattern), message_1);
  out["payload_2"] = hex(as_bytes(payload_2));
  out["reply"] = unit(UnitKind::reply, message_2);
  out["binding"] = hex(FixedEphemeral::hash(client));
  out["client_key"] = hex(client_key.reveal());
  out["agent_key"] = hex(agent_key.reveal());
  auto at_client = std::move(client).finish(suite, Time{}).value();
  auto at_agent = std::move(agent).finish(suite, Time{}).value();
  out["records"] = records(at_client, at_agent);
  out["refused"] = refused(suite, client_key);
  return out;
}

}  // namespace
}  // namespace leat::crypto

int main() {
  using namespace leat::crypto;
  Json sessions = Json::array();
  for (const Pattern pattern : test::kPatterns) {
    for (const Suite suite : test::kSuites) sessions.push_back(session(pattern, suite));
  }
  std::printf("%s\n", Json{{"sessions", std::move(sessions)}}.dump(1).c_str());
}
