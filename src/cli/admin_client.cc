#include "cli/admin_client.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/transport.h"

namespace leat::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

class Exchange final : private net::TransportOwner {
 public:
  Exchange(const AdminAccess& access, std::string head)
      : head_(std::move(head)),
        patience_(shard_, [this] { done(fail(Code::TIMEOUT, "the relay does not answer")); }) {
    patience_.arm_in(kPatience);
    dial_ = net::Dial::start(shard_, access.address, kPatience, [this](Result<net::Fd> fd) {
      if (!fd) return done(tl::unexpected(fd.error()));
      transport_ = net::make_plain_transport(shard_, fd->release());
      if (!transport_) return done(fail(Code::INTERNAL, "the connection could not be set up"));
      transport_->set_owner(this);
      writer_.write(*transport_, head_);
      on_transport();
    });
  }
  ~Exchange() {
    if (transport_) transport_->set_owner(nullptr);
  }

  Result<std::string> run() {
    shard_.run();
    return std::move(result_);
  }

 private:
  void on_transport() override {
    if (over_) return;
    writer_.flush(*transport_);
    if (status_ == 0 && !read_head()) return;
    std::array<std::uint8_t, 16384> buffer;
    for (;;) {
      const mux::Produced produced = reader_.produce_body(*transport_, buffer);
      switch (produced.kind) {
        case mux::Produced::Kind::bytes:
          body_ += as_chars(Bytes(buffer).first(produced.n));
          break;
        case mux::Produced::Kind::not_ready:
          return;
        case mux::Produced::Kind::end:
          return finish();
        case mux::Produced::Kind::error:
          return done(fail(Code::CARRIER_CUT, "the relay's answer was cut"));
      }
    }
  }

  bool read_head() {
    switch (reader_.read_head(*transport_)) {
      case net::HttpReader::Head::more:
        return false;
      case net::HttpReader::Head::done:
        break;
      default:
        done(fail(Code::CARRIER_CUT, "the relay did not answer"));
        return false;
    }
    const auto response = reader_.head().take_response("GET");
    if (!response) {
      done(fail(Code::PROTOCOL, "the answer is no HTTP"));
      return false;
    }
    status_ = response->status;
    reader_.begin_body(response->body, response->length);
    return true;
  }

  // An error of the API is one of ours.
  void finish() {
    if (status_ == 200) return done(std::move(body_));
    const auto said = nlohmann::json::parse(body_, nullptr, false);
    std::string name;
    if (said.is_object() && said.contains("error")) name = said["error"].value("code", "");
    const auto code = code_from_name(name);
    done(fail(code.value_or(Code::PROTOCOL), "HTTP " + std::to_string(status_)));
  }

  void done(Result<std::string> result) {
    if (std::exchange(over_, true)) return;
    result_ = std::move(result);
    shard_.stop();
  }

  net::Shard shard_;
  const std::string head_;
  net::Timer patience_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;
  net::HttpReader reader_;
  net::HttpWriter writer_;
  int status_ = 0;
  std::string body_;
  Result<std::string> result_;
  bool over_ = false;
};

}  // namespace

Result<AdminAccess> admin_access(const std::string& state_dir, const std::string& key_file) {
  const std::string path = state_dir + "/relay.json";
  const auto text = read_file(path, Code::STATE_DIR);
  if (!text) return fail(Code::STATE_DIR, text.error().detail + "; has the relay been started?");
  const auto state = nlohmann::json::parse(*text, nullptr, false);
  if (!state.is_object()) return fail(Code::STATE_DIR, path + ": is damaged");
  const auto listen = parse_host_port(state.value("admin_listen", ""));
  if (!listen) {
    return fail(Code::STATE_DIR, path + ": the relay was started without --admin-listen");
  }
  AdminAccess access{*listen, {}};
  if (listen->host == "0.0.0.0") access.address.host = "127.0.0.1";
  if (listen->host == "::") access.address.host = "::1";
  const auto key = read_private_file(key_file, Code::KEY_FILE);
  if (!key) return tl::unexpected(key.error());
  const std::string_view shown = key->reveal();
  access.key = Secret(std::string(shown.substr(0, shown.find_last_not_of(" \t\r\n") + 1)));
  return access;
}

Result<std::string> ask_admin(const AdminAccess& access, const std::string& target) {
  std::string head = "GET " + target + " HTTP/1.1\r\nHost: " + access.address.text() +
                     "\r\nUser-Agent: leat\r\nConnection: close\r\nX-Admin-Key: ";
  head.append(access.key.reveal()).append("\r\n\r\n");
  return Exchange(access, std::move(head)).run();
}

}  // namespace leat::cli
