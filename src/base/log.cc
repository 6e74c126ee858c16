#include "base/log.h"

// spdlog says "warning"; set before its headers, which it is compiled from here alone.
#define SPDLOG_LEVEL_NAMES \
  { "trace", "debug", "info", "warn", "error", "critical", "off" }
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace leat::log {
namespace {

std::atomic<Level> current_level{Level::info};
std::atomic<Format> current_format{Format::text};

// One logger per format, so that configure() changes one atomic and no line mixes the two. Never
// destroyed: a thread may log while the process ends.
spdlog::logger& logger(Format format) {
  static const auto make = [](const char* pattern) {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto made = std::make_unique<spdlog::logger>("leat", std::move(sink));
    made->set_formatter(
        std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, "\n"));
    made->set_level(spdlog::level::trace);
    made->set_error_handler(
        [](const std::string&) {});  // standard error is gone: nowhere to say so
    return made.release();
  };
  static spdlog::logger* const text = make("%Y-%m-%dT%H:%M:%S.%eZ %-5l %v");
  static spdlog::logger* const json = make(R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})");
  return format == Format::json ? *json : *text;
}

spdlog::level::level_enum to_spdlog(Level level) {
  constexpr std::array kLevels = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                  spdlog::level::err, spdlog::level::off};
  return kLevels[static_cast<std::size_t>(level)];
}

// A JSON string literal: escaped, invalid UTF-8 replaced by U+FFFD.
std::string quoted(std::string_view text, bool ascii = false) {
  return nlohmann::json(text).dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace);
}

std::string value_json(const Field& field) {
  return std::visit(
      [](const auto& value) {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string_view>) {
          return quoted(value);
        } else {
          return nlohmann::json(value).dump();
        }
      },
      field.value);
}

// Bare where nothing can be mistaken; otherwise a JSON string, so that a value can neither break
// the line nor send control sequences to a terminal.
std::string value_text(const Field& field) {
  const auto* text = std::get_if<std::string_view>(&field.value);
  if (text == nullptr) return value_json(field);
  bool bare = !text->empty();
  for (const char c : *text)
    bare = bare && c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  return bare ? std::string(*text) : quoted(*text, true);
}

void append(std::string& line, Format format, const Field& field) {
  if (format == Format::json) {
    line.append(",").append(quoted(field.key)).append(":").append(value_json(field));
  } else {
    line.append(" ").append(field.key).append("=").append(value_text(field));
  }
}

void emit(Level level, std::string_view event, std::initializer_list<Fields> groups) {
  const Format format = current_format.load(std::memory_order_relaxed);
  std::string line;
  if (format == Format::json) {
    line.append("\"event\":").append(quoted(event));
  } else {
    line.append(event);
  }
  for (const Fields& fields : groups) {
    for (const Field& field : fields) append(line, format, field);
  }
  logger(format).log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void configure(Level level, Format format) {
  current_level.store(level, std::memory_order_relaxed);
  current_format.store(format, std::memory_order_relaxed);
}

Format format() { return current_format.load(std::memory_order_relaxed); }
Level level() { return current_level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view event, Fields fields) {
  if (level >= log::level() && level != Level::off) emit(level, event, {fields});
}

void write(Level level, std::string_view event, const Error& error, Fields fields) {
  if (level < log::level() || level == Level::off) return;
  const CodeInfo& about = info(error.code);
  std::string what(about.meaning);
  if (!error.detail.empty()) what.append(": ").append(error.detail);
  emit(level, event, {fields, {{"code", about.name}, {"error", what}, {"next", about.next}}});
}

}  // namespace leat::log
