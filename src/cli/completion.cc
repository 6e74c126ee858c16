// Completion scripts, made from the commands and flags that the parser itself has.
#include <algorithm>

#include "cli/arguments.h"

namespace leat::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : " ").append(word);
  return out;
}

// Of the words before the cursor those that are no flags name the command; zsh runs it by its bash
// emulation.
std::string bash_script(const std::vector<CommandWords>& commands) {
  std::string cases;
  for (const CommandWords& command : commands) {
    cases.append("    \"").append(command.path).append("\") words=\"");
    cases.append(joined(command.words)).append("\" ;;\n");
  }
  return "_leat() {\n"
         "  local path=\"\" words=\"\" word i\n"
         "  for ((i = 1; i < COMP_CWORD && i < 3; i++)); do\n"
         "    word=\"${COMP_WORDS[i]}\"\n"
         "    [[ $word == -* ]] && break\n"
         "    [[ $i == 2 && $path != token && $path != config && $path != device && $path != key "
         "]] && break\n"
         "    path=\"${path:+$path }$word\"\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _leat leat\n";
}

std::string fish_script(const std::vector<CommandWords>& commands) {
  std::string out =
      "complete -c leat -f -n __fish_use_subcommand -a '" + joined(commands.front().words) + "'\n";
  for (const CommandWords& command : commands) {
    if (command.path.empty()) continue;
    const std::string last = command.path.substr(command.path.rfind(' ') + 1);
    out.append("complete -c leat -n '__fish_seen_subcommand_from ").append(last).append("' -a '");
    out.append(joined(command.words)).append("'\n");
  }
  return out;
}

}  // namespace

std::string completion_script(const std::string& shell, const std::vector<CommandWords>& commands) {
  if (shell == "fish") return fish_script(commands);
  const std::string zsh = "autoload -U +X bashcompinit && bashcompinit\n";
  return (shell == "zsh" ? zsh : "") + bash_script(commands);
}

}  // namespace leat::cli
