#include "agent/credential_file.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace leat::agent {
namespace {

std::string path_in(const std::string& state_dir) { return state_dir + "/credential.json"; }

}  // namespace

Result<void> save_joined(const std::string& state_dir, const JoinedRelay& joined) {
  if (auto made = make_directory(state_dir, Code::STATE_DIR); !made) return made;
  const nlohmann::ordered_json json = {{"relay", joined.relay},
                                       {"pin", joined.pin},
                                       {"name", joined.name},
                                       {"credential", joined.credential.reveal()}};
  return write_file(path_in(state_dir), json.dump(2) + "\n", 0600, Code::STATE_DIR);
}

Result<std::optional<JoinedRelay>> load_joined(const std::string& state_dir) {
  const std::string path = path_in(state_dir);
  if (::access(path.c_str(), F_OK) != 0) return std::nullopt;
  const auto text = read_private_file(path, Code::NO_TOKEN);
  if (!text) return tl::unexpected(text.error());
  try {
    const auto json = nlohmann::json::parse(text->reveal());
    return JoinedRelay{json.at("relay"), json.at("pin"), json.at("name"),
                       Secret(json.at("credential").get<std::string>())};
  } catch (const nlohmann::json::exception&) {
    return fail(Code::NO_TOKEN, path + ": is damaged; join again");
  }
}

}  // namespace leat::agent
