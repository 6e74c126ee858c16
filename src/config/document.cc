#include "config/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "base/file.h"

namespace leat::config {
namespace {

const char* shape(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return "a single value";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a mapping";
    default:
      return "nothing";
  }
}

int line_of(const YAML::Node& node) { return node.Mark().line + 1; }  // counted from 0

constexpr int kDepth = 16;         // of lists and mappings in one another; leat's files have four
constexpr int kEntries = 100'000;  // keys, values and list items; a small file has room for no more

// Looks at a file as it is written, before there are nodes: an alias may stand for what it is part
// of, or for so much that no memory holds it.
class Inspector final : public YAML::EventHandler {
 public:
  struct Fault {
    int line;
    const char* why;
  };
  const std::optional<Fault>& fault() const { return fault_; }

 private:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { count(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "aliases (*name) are not taken; write it out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string&) override {
    count(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    enter(mark);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    enter(mark);
  }
  void OnMapEnd() override { --depth_; }

  void enter(const YAML::Mark& mark) {
    count(mark);
    if (++depth_ > kDepth) refuse(mark, "nested too deeply");
  }
  void count(const YAML::Mark& mark) {
    if (++entries_ > kEntries) refuse(mark, "too many entries");
  }
  void refuse(const YAML::Mark& mark, const char* why) {
    if (!fault_) fault_ = {mark.line + 1, why};
  }

  int depth_ = 0, entries_ = 0;
  std::optional<Fault> fault_;
};

// Turns nodes into a Document and remembers the first thing that does not fit.
class Reader {
 public:
  explicit Reader(Document& document) : document_(document) {}

  Result<void> read(const YAML::Node& root) {
    if (root.IsNull()) return {};  // nothing but comments
    return read_mapping(root, "", document_.root);
  }

 private:
  Result<void> read_mapping(const YAML::Node& node, const std::string& path, Mapping& out) {
    out.line = line_of(node);
    if (!node.IsMap()) return unfit(node, path, "keys and their values");
    for (const auto& pair : node) {
      const YAML::Node &key = pair.first, &value = pair.second;
      if (!key.IsScalar()) return unfit(key, path, "a key");
      Entry entry{key.Scalar(), line_of(key), {}};
      std::ranges::replace(entry.key, '-', '_');  // as the flags are written
      if (const auto done = read_value(value, path + entry.key, entry); !done) return done;
      out.entries.push_back(std::move(entry));
    }
    return {};
  }

  Result<void> read_value(const YAML::Node& node, const std::string& path, Entry& entry) {
    if (node.IsScalar()) {
      entry.value = node.Scalar();
      return {};
    }
    if (!node.IsSequence()) {
      return fail(Code::CONFIG, document_.where(entry.line, path) +
                                    ": expected a single value or a list, found " + shape(node));
    }
    std::vector<Mapping> items;
    for (const YAML::Node& item : node) {
      const std::string name = path + "[" + std::to_string(items.size()) + "]";
      if (!item.IsMap()) return unfit(item, name, "keys and their values");
      if (const auto done = read_mapping(item, name + ".", items.emplace_back()); !done) {
        return done;
      }
    }
    entry.value = std::move(items);
    return {};
  }

  tl::unexpected<Error> unfit(const YAML::Node& node, const std::string& path,
                              const char* wanted) const {
    return fail(Code::CONFIG, document_.where(line_of(node), path) + ": expected " + wanted +
                                  ", found " + shape(node));
  }

  Document& document_;
};

}  // namespace

std::string Document::where(int line, std::string_view path) const {
  std::string text = file + ":" + std::to_string(line);
  if (!path.empty()) text.append(": ").append(path);
  return text;
}

Result<std::vector<Setting>> Document::settings(const Mapping& mapping, const std::string& path,
                                                std::string_view except) const {
  std::vector<Setting> out;
  for (const Entry& entry : mapping.entries) {
    if (entry.key == except) continue;
    const std::string name = where(entry.line, path + entry.key);
    const auto* value = std::get_if<std::string>(&entry.value);
    if (value == nullptr)
      return fail(Code::CONFIG, name + ": expected a single value, found a list");
    out.push_back({entry.key, *value, name});
  }
  return out;
}

Result<Document> load_document(const std::string& path) {
  const auto text = read_file(path, Code::CONFIG_FILE);
  if (!text) return tl::unexpected(text.error());
  Document document{path, {}};
  const auto unprintable = [](unsigned char c) {
    return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
  };
  if (std::ranges::any_of(*text, unprintable))
    return fail(Code::CONFIG, path + ": is not a text file");
  try {
    Inspector inspector;
    std::istringstream written(*text);
    YAML::Parser parser(written);
    while (!inspector.fault() && parser.HandleNextDocument(inspector)) continue;
    if (const auto& fault = inspector.fault()) {
      return fail(Code::CONFIG, document.where(fault->line, "") + ": " + fault->why);
    }
    const std::vector<YAML::Node> all = YAML::LoadAll(*text);
    if (all.size() > 1) {
      return fail(Code::CONFIG, document.where(line_of(all[1]), "") + ": expected one document");
    }
    if (!all.empty()) {
      if (const auto read = Reader(document).read(all.front()); !read) {
        return tl::unexpected(read.error());
      }
    }
  } catch (const YAML::Exception& error) {
    return fail(Code::CONFIG, document.where(error.mark.line + 1, "") + ": " + error.msg);
  } catch (const std::exception& error) {
    return fail(Code::CONFIG, path + ": " + error.what());
  }
  if (document.root.entries.empty()) return fail(Code::CONFIG, path + ": holds no settings");
  return document;
}

}  // namespace leat::config
