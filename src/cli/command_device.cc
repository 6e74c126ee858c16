#include <algorithm>
#include <string>

#include "agent/devices.h"
#include "base/calendar.h"
#include "base/crypto_util.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/sealed_state.h"
#include "cli/terminal.h"
#include "crypto/identity.h"

namespace leat::cli {
namespace {

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

std::string joined(const std::vector<std::string>& list, const char* none) {
  std::string out;
  for (const std::string& each : list) out.append(out.empty() ? "" : ",").append(each);
  return out.empty() ? none : out;
}

std::string minute(std::int64_t unix_seconds) {
  return day_and_minute(TimeOfDay(std::chrono::seconds(unix_seconds)));
}

std::string table(const agent::Devices& all) {
  std::size_t width = 4;
  for (const agent::Device& device : all.devices) width = std::max(width, device.name.size());
  std::string out = padded("NAME", width + 2) + padded("PAIRED (UTC)", 18) + padded("STATE", 26) +
                    padded("SERVICES", 20) + "PATHS\n";
  for (const agent::Device& device : all.devices) {
    out += padded(device.name, width + 2) + padded(minute(device.paired), 18) +
           padded(device.revoked ? "revoked " + minute(*device.revoked) : "in force", 26) +
           padded(joined(device.scope.services, "all"), 20) + joined(device.scope.paths, "all") +
           "\n";
  }
  return out;
}

Result<void> change(agent::Devices& all, const DeviceArguments& arguments) {
  agent::Device* const device = all.by_name(arguments.name);
  if (device == nullptr) return fail(Code::NO_SUCH_DEVICE, arguments.name);
  if (arguments.verb == DeviceArguments::Verb::revoke) {
    if (!device->revoked) device->revoked = agent::unix_now();
    return {};
  }
  // What is not named stays: nobody is let in to more by way of a limit.
  if (!arguments.services.empty()) device->scope.services = split_limit(arguments.services);
  if (!arguments.paths.empty()) device->scope.paths = split_limit(arguments.paths);
  for (const std::string& path : device->scope.paths) {
    if (!path.starts_with('/')) return fail(Code::USAGE, "--paths: expected /…, found " + path);
  }
  return {};
}

}  // namespace

int run_device(const DeviceArguments& arguments) {
  const auto directory = sealed_state_dir(arguments.state_dir);
  if (!directory) return report(directory.error());
  const agent::DeviceFile file(*directory);
  if (arguments.verb == DeviceArguments::Verb::list) {
    const auto all = file.read();
    if (!all) return report(all.error());
    print(table(*all));
    return kExitStopped;
  }
  agent::Devices now;
  const auto done = file.update([&](agent::Devices& all) -> Result<void> {
    auto changed = change(all, arguments);
    now.devices = all.devices;
    return changed;
  });
  if (!done) return report(done.error());
  if (arguments.verb == DeviceArguments::Verb::scope) {
    std::erase_if(now.devices, [&](const auto& each) { return each.name != arguments.name; });
    print(table(now));
    warn_of_unknown(*directory, now.devices.front().scope.services);
  }
  return kExitStopped;
}

int run_key(const KeyArguments& arguments) {
  const auto directory = sealed_state_dir(arguments.state_dir);
  if (!directory) return report(directory.error());
  const std::string path = *directory + "/identity.pem";
  const bool rotate = arguments.verb == KeyArguments::Verb::rotate;
  const auto identity = rotate ? crypto::Identity::rotate(path) : crypto::Identity::load(path);
  if (!identity) return report(identity.error());
  print("identity     " + hex(identity->signing().public_key()) + "\nsealing key  " +
        base64url(identity->sealing().public_key().bytes) + "\n");
  if (rotate) {
    print(
        "The agent takes it up by itself, if it runs: the sessions there are end now. Every device "
        "refuses it from here on, until it is paired anew ('leat pair').\n");
  }
  return kExitStopped;
}

}  // namespace leat::cli
