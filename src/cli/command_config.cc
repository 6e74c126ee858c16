#include "cli/commands.h"
#include "cli/process.h"

namespace leat::cli {

int run_config(const ConfigArguments& arguments) {
  return report({Code::CONFIG_FILE, arguments.file});
}

}  // namespace leat::cli
