// tests/vectors/sealed.json, byte for byte: what is made and what is taken.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "crypto/fixed.h"
#include "crypto/unit.h"

namespace leat::crypto {
namespace {

using nlohmann::json;
using test::Buffer;
using test::from_hex;
using test::key_from_hex;

Buffer bytes(const json& object, const char* name) {
  return from_hex(object.at(name).get<std::string>());
}

Key key(const json& object, const char* name) {
  return key_from_hex(object.at(name).get<std::string>());
}

// Seals what the entry says and compares, then opens it at the other end.
void replay_record(const json& entry, Channel& from, Channel& to) {
  const std::string type = entry.at("type");
  const std::size_t padding = entry.value("padding", 0);
  Buffer content, record(kMaxRecord);
  if (entry.contains("content")) content = bytes(entry, "content");
  if (entry.contains("fill")) {
    content.resize(entry.at("size"));
    std::uint8_t next = entry.at("fill");
    for (std::uint8_t& byte : content) byte = next++;
  }
  const auto size = type == "data"    ? from.seal(content, record, Time{}, padding)
                    : type == "rekey" ? from.rekey(record, Time{}, padding)
                                      : from.end(record, padding);
  ASSERT_TRUE(size);
  record.resize(*size);
  if (entry.contains("record")) {
    EXPECT_EQ(hex(record), entry.at("record"));
  } else {
    EXPECT_EQ(hex(sha256(record)), entry.at("sha256"));
  }
  const Opened opened = to.open(record);
  using Event = Opened::Event;
  EXPECT_EQ(opened.event, type == "data"    ? Event::data
                          : type == "rekey" ? Event::rekey
                                            : Event::end);
  EXPECT_EQ(hex(opened.content), hex(content));
}

void replay(const json& session) {
  const Pattern pattern = session.at("pattern") == "IK" ? Pattern::ik : Pattern::ik_psk2;
  const Suite suite = session.at("suite") == "nacl" ? Suite::nacl : Suite::aesgcm;
  const KeyPair client_static(key(session, "client_static"));
  const KeyPair agent_static(key(session, "agent_static"));
  const std::string prologue = sealed_prologue(agent_static.public_key());
  EXPECT_EQ(hex(as_bytes(prologue)), session.at("prologue"));
  auto client =
      Handshake::initiator(pattern, as_bytes(prologue), client_static, agent_static.public_key());
  auto agent = Handshake::responder(pattern, as_bytes(prologue), agent_static);
  FixedEphemeral::set(client, key(session, "client_ephemeral"));
  FixedEphemeral::set(agent, key(session, "agent_ephemeral"));
  if (pattern == Pattern::ik_psk2) {
    const Key psk = pairing_psk(bytes(session, "one_time_secret"));
    EXPECT_TRUE(psk == key(session, "psk"));
    client.set_psk(psk);
    agent.set_psk(psk);
  }
  const auto pass = [&](Handshake& from, Handshake& to, const char* unit, const char* payload) {
    const Buffer expected = bytes(session, unit);
    const Role role = &from == &client ? Role::initiator : Role::responder;
    const Unit read = read_unit(expected, role);
    ASSERT_EQ(read.state, Unit::State::whole);
    EXPECT_EQ(hex(test::write(from, bytes(session, payload)).value()), hex(read.body));
    EXPECT_EQ(test::read(to, read.body), bytes(session, payload));
  };
  pass(client, agent, "hello", "payload_1");
  pass(agent, client, "reply", "payload_2");
  EXPECT_EQ(hex(FixedEphemeral::hash(agent)), session.at("binding"));
  const auto [client_key, agent_key] = FixedEphemeral::split(agent);
  EXPECT_TRUE(client_key == key(session, "client_key") && agent_key == key(session, "agent_key"));

  auto at_client = std::move(client).finish(suite, Time{}).value();
  auto at_agent = std::move(agent).finish(suite, Time{}).value();
  for (const json& entry : session.at("records")) {
    SCOPED_TRACE(entry.dump());
    const bool from_client = entry.at("from") == "client";
    replay_record(entry, from_client ? at_client : at_agent, from_client ? at_agent : at_client);
  }
  EXPECT_TRUE(at_client.ended() && at_agent.ended());

  for (const json& entry : session.at("refused")) {
    SCOPED_TRACE(entry.dump());
    Channel first = ChannelAt::make(suite, client_key, 0, Role::responder);
    Buffer record = bytes(entry, "record");
    EXPECT_EQ(first.open(record).event, Opened::Event::failed);
    EXPECT_EQ(name(first.fault()), entry.at("fault"));
  }
}

TEST(SharedVectors, Replayed) {
  std::ifstream file(LEAT_TEST_DATA "/vectors/sealed.json");
  const json all = json::parse(file);
  ASSERT_EQ(all.at("sessions").size(), 4u);
  for (const json& session : all.at("sessions")) {
    SCOPED_TRACE(session.at("pattern").get<std::string>() + " " +
                 session.at("suite").get<std::string>());
    EXPECT_GT(session.at("records").size(), 10u);
    EXPECT_GT(session.at("refused").size(), 10u);
    replay(session);
  }
}

}  // namespace
}  // namespace leat::crypto
