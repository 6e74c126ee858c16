#include "cli/admin_client.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/crypto_util.h"
#include "base/file.h"
#include "cli/http_client.h"
#include "cli/relay_address.h"
#include "net/shard.h"

namespace leat::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

}  // namespace

Result<AdminAccess> admin_access(const std::string& state_dir, const std::string& key_file) {
  const auto relay = relay_at_work(state_dir);
  if (!relay) return tl::unexpected(relay.error());
  if (!relay->admin_listen) {
    return fail(Code::STATE_DIR, state_dir + ": the relay was started without --admin-listen");
  }
  AdminAccess access{*relay->admin_listen, {}};
  if (access.address.host == "0.0.0.0") access.address.host = "127.0.0.1";
  if (access.address.host == "::") access.address.host = "::1";
  const auto key = read_private_file(key_file, Code::KEY_FILE);
  if (!key) return tl::unexpected(key.error());
  const std::string_view shown = key->reveal();
  access.key = Secret(std::string(shown.substr(0, shown.find_last_not_of(" \t\r\n") + 1)));
  return access;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    const auto byte = static_cast<std::uint8_t>(c);
    out += plain ? std::string(1, c) : "%" + hex({&byte, 1});
  }
  return out;
}

Result<std::string> ask_admin(const AdminAccess& access, const std::string& target,
                              const std::string& method) {
  HttpClient::Request request{access.address, access.address.host, method, target};
  request.fields.append("X-Admin-Key: ").append(access.key.reveal()).append("\r\n");
  request.patience = kPatience;
  net::Shard shard;
  std::string body;
  Result<int> status = 0;
  const HttpClient client(
      shard, nullptr, std::move(request), [&](int, std::string_view text) { body += text; },
      [&](Result<int> done) {
        status = std::move(done);
        shard.stop();
      });
  shard.run();
  if (!status) return tl::unexpected(status.error());
  if (*status / 100 == 2) return body;
  // An error of the API is one of ours.
  const auto said = nlohmann::json::parse(body, nullptr, false);
  std::string name;
  if (said.is_object() && said.contains("error") && said["error"].is_object()) {
    const nlohmann::json code = said["error"].value("code", nlohmann::json());
    if (code.is_string()) name = code;
  }
  return fail(code_from_name(name).value_or(Code::PROTOCOL), "HTTP " + std::to_string(*status));
}

}  // namespace leat::cli
