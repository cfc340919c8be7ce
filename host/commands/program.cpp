#include "host/commands/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/remedy.h"
#include "host/commands/commands.h"
#include "host/config/config.h"
#include "host/config/nearest_name.h"
#include "host/version.h"

namespace rec {
namespace {

constexpr int kFailed = 1;

int failed(const std::string& sentence) {
  std::fputs(("rec_engine: " + sentence + "\n").c_str(), stderr);
  return kFailed;
}

// What is to be done, by which option.
const char* in_options(Remedy remedy) {
  switch (remedy) {
    case Remedy::another_device: return "use --device cpu or auto";
    case Remedy::fp32: return "use --precision fp32, which every device has";
    case Remedy::another_folder: return "choose another folder with --out";
    case Remedy::folder_in_it: return "name a folder in it with --out";
    case Remedy::resume_or_overwrite: return "go on with --resume, or replace it with --overwrite";
    case Remedy::settings_of_run: return "leave that out, or begin anew with --overwrite";
    case Remedy::overwrite: return "begin anew with --overwrite";
    case Remedy::name_dataset: return "name the dataset with --data";
    case Remedy::same_language_model:
      return "embed the titles with the same model, or go on with --force";
    case Remedy::make_vectors_again:
      return "make the vectors again (--restart of rec_engine embed or data/embed_items.sh); train "
             "--force goes on, a sweep cannot";
    case Remedy::choose_language: return "choose one with --language";
    case Remedy::leave_language_out: return "leave --language out";
    case Remedy::none: break;
  }
  return "";
}

// A word that is no command gets no better answer from the parser than that it was not expected.
void refuse_unknown_command(const CLI::App& app, const std::string& word) {
  if (word.empty() || word[0] == '-') return;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), word) != names.end()) return;
  const std::string nearest = nearest_name(word, names);
  throw std::invalid_argument(fmt::format("'{}' is not a command; {}", word,
                                          nearest.empty()
                                              ? fmt::format("there are: {}", fmt::join(names, ", "))
                                              : fmt::format("the nearest one is '{}'", nearest)));
}

// --lr 0.1 for --set lr=0.1
void refuse_settings_as_options(const CLI::App& command, const std::vector<std::string>& words) {
  for (size_t w = 0; w < words.size(); ++w) {
    if (words[w].rfind("--", 0) != 0) continue;
    const size_t equals = words[w].find('=');
    const std::string option = words[w].substr(0, equals), name = option.substr(2);
    if (setting_named(name).empty() || command.get_option_no_throw(option) != nullptr) continue;
    const std::string value = equals != std::string::npos ? words[w].substr(equals + 1)
                              : w + 1 < words.size()      ? words[w + 1]
                                                          : "VALUE";
    throw std::invalid_argument(
        fmt::format("{}: settings are given as --set {}={}", option, name, value));
  }
}

// An empty word is what a shell makes of a variable that is not set; no option means anything by
// it.
void refuse_empty_values(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options())
    for (const std::string& value : option->results())
      if (value.empty())
        throw std::invalid_argument(option->get_name() +
                                    ": its value is empty; give one, or leave it out");
}

int run(int argc, const char* const* argv) {
  CLI::App app("Train, evaluate and serve AlphaRec and its relatives.", "rec_engine");
  app.set_version_flag("--version", fmt::format("rec_engine {} ({})", kVersion, kCommit));
  app.require_subcommand(1);
  const std::pair<const char*, Command> commands[] = {
      {"train", add_train(app)},         {"evaluate", add_evaluate(app)},
      {"compare", add_compare(app)},     {"sweep", add_sweep(app)},
      {"recommend", add_recommend(app)}, {"similar", add_similar(app)},
      {"intention", add_intention(app)}, {"export", add_export(app)},
      {"info", add_info(app)},           {"split", add_split(app)},
      {"prepare", add_prepare(app)},     {"embed", add_embed(app)},
      {"convert", add_convert(app)},     {"doctor", add_doctor(app)}};
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty()) refuse_unknown_command(app, words[0]);
  if (!words.empty() && words[0] == "train")
    refuse_settings_as_options(*app.get_subcommand("train"), words);
  CLI11_PARSE(app, argc, argv);
  for (const auto& [name, command] : commands)
    if (app.got_subcommand(name)) {
      refuse_empty_values(*app.get_subcommand(name));
      return command();
    }
  return kFailed;
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  try {
    const int status = run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return failed(
          "standard output could not be written; its reader is gone, or the disk is full");
    return status;
  } catch (const std::bad_alloc&) {
    return failed("out of memory; use a smaller batch, hidden width, topk or dataset");
  } catch (const RefusedSetting& refused) {
    return failed(std::string("--set ") + refused.what());
  } catch (const std::exception& error) {
    return failed(whole_sentence(error, in_options));
  }
}

}  // namespace rec
