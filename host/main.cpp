// rec_engine: trains, evaluates and serves AlphaRec. Commands are in host/commands/.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "host/commands/commands.h"
#include "host/version.h"

namespace {

constexpr int kFailed = 1;

int failed(const std::string& sentence) {
  std::fputs(("rec_engine: " + sentence + "\n").c_str(), stderr);
  return kFailed;
}

// An empty word is what a shell makes of a variable that is not set; no option means anything by it.
void refuse_empty_values(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options())
    for (const std::string& value : option->results())
      if (value.empty())
        throw std::invalid_argument(option->get_name() +
                                    ": its value is empty; give one, or leave it out");
}

int run(int argc, char** argv) {
  CLI::App app("Train, evaluate and serve AlphaRec and its relatives.", "rec_engine");
  app.set_version_flag("--version", fmt::format("rec_engine {} ({})", rec::kVersion, rec::kCommit));
  app.require_subcommand(1);
  const std::pair<const char*, rec::Command> commands[] = {
      {"train", rec::add_train(app)},         {"evaluate", rec::add_evaluate(app)},
      {"recommend", rec::add_recommend(app)}, {"similar", rec::add_similar(app)},
      {"export", rec::add_export(app)},       {"info", rec::add_info(app)},
      {"doctor", rec::add_doctor(app)}};
  CLI11_PARSE(app, argc, argv);
  for (const auto& [name, command] : commands)
    if (app.got_subcommand(name)) {
      refuse_empty_values(*app.get_subcommand(name));
      return command();
    }
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int status = run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return failed(
          "standard output could not be written; its reader is gone, or the disk is full");
    return status;
  } catch (const std::bad_alloc&) {
    return failed("out of memory; use a smaller batch, hidden width, topk or dataset");
  } catch (const std::exception& error) {
    return failed(error.what());
  }
}
