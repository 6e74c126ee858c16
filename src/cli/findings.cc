// How the doctor's findings read.
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "cli/doctor.h"
#include "cli/terminal.h"

namespace leat::cli {
namespace {

const char* name(Finding::Level level) {
  switch (level) {
    case Finding::Level::ok:
      return "ok";
    case Finding::Level::note:
      return "note";
    case Finding::Level::fault:
      return "fault";
  }
  return "";
}

bool has_word(const std::string& text, std::string_view word) {
  const std::string padded = " " + text + " ";
  return padded.find(" " + std::string(word) + " ") != padded.npos;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

}  // namespace

Finding fault(std::string check, const Error& error) {
  const CodeInfo& about = info(error.code);
  std::string text(about.meaning);
  if (!error.detail.empty()) text.append(": ").append(error.detail);
  return {Finding::Level::fault, std::move(check), std::move(text), std::string(about.name),
          std::string(about.next)};
}

Finding congestion_finding(const std::string& allowed, const std::string& available) {
  if (has_word(allowed, "bbr")) {
    return {Finding::Level::ok, "congestion", "the kernel lends " + allowed, "", ""};
  }
  const std::string load = has_word(available, "bbr") ? "" : "modprobe tcp_bbr and ";
  return {Finding::Level::note, "congestion",
          "the kernel lends " + (allowed.empty() ? std::string("nothing it tells of") : allowed) +
              ", not bbr, which keeps its speed where packets are lost",
          "",
          "as root: " + load + "sysctl -w net.ipv4.tcp_allowed_congestion_control=\"" +
              (allowed.empty() ? "reno cubic" : allowed) + " bbr\""};
}

Finding clock_finding(std::chrono::seconds ahead) {
  const auto seconds = ahead.count();
  const std::string by = std::to_string(std::abs(seconds)) + " s";
  if (std::abs(seconds) < 60) {
    return {Finding::Level::ok, "clock", "agrees with the relay's to within " + by, "", ""};
  }
  return fault("clock", {Code::CLOCK, by + (seconds > 0 ? " ahead" : " behind")});
}

bool has_fault(const std::vector<Finding>& findings) {
  return std::ranges::any_of(
      findings, [](const Finding& finding) { return finding.level == Finding::Level::fault; });
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& finding : findings) {
    out.append(padded(name(finding.level), 7)).append(padded(finding.check, 12)).append(" ");
    if (!finding.code.empty()) out.append(finding.code).append(": ");
    out.append(finding.text).append("\n");
    if (!finding.next.empty()) out.append(20, ' ').append("to do: " + finding.next + "\n");
  }
  return out;
}

std::string findings_json(const std::vector<Finding>& findings) {
  using Json = nlohmann::ordered_json;
  Json checks = Json::array();
  for (const Finding& finding : findings) {
    Json check = {{"check", finding.check}, {"level", name(finding.level)}, {"text", finding.text}};
    if (!finding.code.empty()) check["code"] = finding.code;
    if (!finding.next.empty()) check["next"] = finding.next;
    checks.push_back(std::move(check));
  }
  const Json all = {{"ok", !has_fault(findings)}, {"checks", std::move(checks)}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace leat::cli
