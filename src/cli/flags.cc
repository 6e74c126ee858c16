#include "cli/flags.h"

#include <algorithm>
#include <cctype>

namespace leat::cli {
namespace {

constexpr Flag kRelayFlags[] = {
    {"--listen", "ADDR", "TLS for agents and visitors [[::]:443, IPv4 too]"},
    {"--plain-listen", "ADDR", "HTTP for visitors, behind a reverse proxy that ends TLS"},
    {"--admin-listen", "ADDR", "health, metrics and the admin API, for this machine's own use"},
    {"--domain", "NAME", "the relay's public name or IP, for URLs and its certificate"},
    {"--public-url", "URL", "how visitors reach it, if not at domain and port"},
    {"--tcp-ports", "LO-HI", "ports lent to tcp tunnels [none]"},
    {"--open-rooms", nullptr, "agents without leat need no token for a room nobody owns"},
    {"--agent-origins", "LIST", "web pages that may be agents, by origin [none]"},
    {"--memory", "SIZE", "held for visitors who read slowly, all together [1GiB]"},
    {"--state-dir", "DIR", kRelayStateDir},
    {"--cert", "FILE", "certificate chain, PEM [self-signed]"},
    {"--key", "FILE", "its key, PEM, mode 0600"},
    {"--admin-key-file", "FILE", "serve the admin API to who has this key [no admin API]"},
    {"--plans", "FILE", "what owners may use, YAML (deploy/plans.yaml) [no limits]"},
    {"--jwt-keys", "FILE", "take JSON web tokens that these verify: JWKS, PEM or a secret"},
    {"--jwt-audience", "NAME", "what their 'aud' must be [none]"},
    {"--jwt-issuer", "NAME", "what their 'iss' must be [any]"},
    {"--certs", "LIST", "more of them by name: CERT:KEY,CERT:KEY"},
    {"--wildcard", nullptr, "every name below --domain leads here [if a certificate says so]"},
    {"--trusted-proxies", "LIST", "networks whose X-Forwarded-For is believed [none]"},
    {"--proxy-protocol", "LIST", "networks whose connections begin with a PROXY header [none]"},
    {"--connection-days", "N", "how long visits are remembered; 0: not at all [14]"},
    {"--connection-rows", "N", "and how many of them [200000]"},
    {"--connection-paths", "BOOL", "with the paths that were asked for, without queries [true]"},
    {"--public-registration", nullptr, "apps may register at public doors, 5 an hour and address"},
    {"--threads", "N", "how many share the agents among them [one for each core]"},
    {"--send-governor", "SWITCH", "on: bound what is on its way to an agent; off [on]"},
    {"--log-level", "LEVEL", "debug, info, warn, error or off [info]"},
    {"--log-format", "FORMAT", "text or json [text]"},
};

constexpr Flag kAgentFlags[] = {
    {"--relay", "HOST:PORT", "the relay to connect to"},
    {"--pin", "FINGERPRINT", "trust the relay with this key: sha256:… as it prints at start"},
    {"--ca", "FILE", "trust the relay by this authority, PEM [the system's]"},
    {"--token-file", "FILE", "the credential [LEAT_TOKEN]"},
    {"--state-dir", "DIR",
     "identity, agent.json [~/.local/state/leat/SERVICE; /var/lib/leat/… for root]"},
    {"--proxy", "URL", "HTTP proxy on the way to the relay, or none [HTTPS_PROXY]"},
    {"--direct", "ADDR", "take sealed sessions here too, without the relay; several with commas"},
    {"--padding", nullptr, "fill sealed records up, to hide their sizes"},
    {"--metrics-listen", "ADDR", "serve /metrics for Prometheus here, 127.0.0.1:PORT [no]"},
    {"--send-governor", "SWITCH", "on: bound what is on its way to the relay; off [on]"},
    {"--log-level", "LEVEL", "debug, info, warn, error or off [info]"},
    {"--log-format", "FORMAT", "text or json [text]"},
};

// Of services of several kinds.
constexpr Flag kId = {"--id", "ID", "a name of your choice [a secret one is made]"};
constexpr Flag kPublic = {"--public", nullptr,
                          "everybody may use the service: what an http one with --id needs"};
constexpr Flag kSealed = {"--sealed", nullptr,
                          "for paired devices only, end to end encrypted: leat pair"};
constexpr Flag kHostHeader = {"--host-header", "HOST",
                              "Host sent to the service: rewrite, preserve or a value [rewrite]"};
constexpr Flag kOrigin = {"--origin", "ORIGIN",
                          "Origin sent to it: rewrite, preserve, remove or a value [rewrite]"};
constexpr Flag kVisitorTokens = {"--visitor-tokens", "FILE",
                                 "ask visitors for a bearer token: NAME TOKEN on each line"};
constexpr Flag kVisitorUsers = {"--visitor-users", "FILE",
                                "ask visitors for USER:PASSWORD, as on a line of this"};
constexpr Flag kVisitorJwtKeys = {"--visitor-jwt-keys", "FILE",
                                  "ask visitors for a JSON web token that these keys verify"};
constexpr Flag kVisitorJwtAudience = {"--visitor-jwt-audience", "NAME",
                                      "what its 'aud' must be [none]"};
constexpr Flag kVisitorJwtIssuer = {"--visitor-jwt-issuer", "NAME", "what its 'iss' must be [any]"};
constexpr Flag kAllow = {"--allow", "NETWORKS", "take visitors from these only: 192.0.2.0/24, …"};
constexpr Flag kFirstByte = {"--first-byte-timeout", "TIME",
                             "how long an answer may take to begin [5m]"};
constexpr Flag kProxyProtocol = {"--proxy-protocol", "VERSION",
                                 "tell the service who comes: v1, v2 or none [none]"};
constexpr Flag kHealthPath = {"--health", "PATH",
                              "ask this path whether it is well; or connect, or none [connect]"};
constexpr Flag kHealth = {"--health", "HOW",
                          "connect, to see whether it is there, or none [connect]"};
constexpr Flag kHealthPathInterval = {"--health-interval", "TIME",
                                      "how often, while it is [10s with a path, else once]"};
constexpr Flag kHealthInterval = {"--health-interval", "TIME", "how often, while it is [once]"};

constexpr Flag kHttpFlags[] = {
    kId,
    kPublic,
    kHostHeader,
    kOrigin,
    {"--insecure", nullptr, "do not verify the certificate of an https service"},
    kSealed,
    kVisitorTokens,
    kVisitorUsers,
    kVisitorJwtKeys,
    kVisitorJwtAudience,
    kVisitorJwtIssuer,
    kAllow,
    {"--host", "NAMES", "DNS names of its own that lead to the relay"},
    kFirstByte,
    {"--idle-timeout", "TIME", "how long an answer that has begun may rest [10m]"},
    kProxyProtocol,
    {"--preset", "NAME", "settings for a kind of server: ollama, vllm, openai or y-websocket"},
    {"--cors", "ORIGIN", "pages of this origin may use it, whatever it says: https://… or *"},
    kHealthPath,
    kHealthPathInterval,
    {"--sse-comments", "TIME", "keep event streams alive that begin later than this [off]"},
};

constexpr Flag kTcpFlags[] = {
    kId,     kPublic,        {"--remote-port", "PORT", "port of the relay [it chooses]"},
    kSealed, kHealth,        kHealthInterval,
    kAllow,  kProxyProtocol,
};

constexpr Flag kTlsFlags[] = {
    kId,
    kPublic,
    {"--host", "NAMES", "DNS names of its own that lead to the relay [ID.DOMAIN of the relay]"},
    kHealth,
    kHealthInterval,
    kAllow,
    kProxyProtocol,
};

constexpr Flag kWsFlags[] = {
    {"--room", "ID", "what visitors call it [a secret one is made]"},
    kPublic,
    kHostHeader,
    kOrigin,
    {"--insecure", nullptr, "do not verify the certificate of a wss service"},
    kVisitorTokens,
    kVisitorUsers,
    kVisitorJwtKeys,
    kVisitorJwtAudience,
    kVisitorJwtIssuer,
    kAllow,
    kFirstByte,
    kProxyProtocol,
    {"--preset", "NAME", "settings for a kind of server: y-websocket"},
    kHealthPath,
    kHealthPathInterval,
};

}  // namespace

std::span<const Flag> relay_flags() { return kRelayFlags; }

std::span<const Flag> agent_flags() { return kAgentFlags; }

std::span<const Flag> service_flags(AgentArguments::Kind kind) {
  using Kind = AgentArguments::Kind;
  switch (kind) {
    case Kind::http:
      return kHttpFlags;
    case Kind::tcp:
      return kTcpFlags;
    case Kind::tls:
      return kTlsFlags;
    case Kind::ws:
      return kWsFlags;
    case Kind::file:
      break;
  }
  return {};
}

std::string variable_of(std::string_view flag) {
  std::string name = "LEAT_";
  for (const char c : flag.substr(flag.find_first_not_of('-'))) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string key_of(std::string_view flag) {
  std::string key(flag.substr(flag.find_first_not_of('-')));
  std::ranges::replace(key, '-', '_');
  return key;
}

}  // namespace leat::cli
