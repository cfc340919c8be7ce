#include "host/commands/shared_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <stdexcept>

namespace rec {

void add_language_option(CLI::App& command, std::string& language) {
  command.add_option("--language", language, "which item_cf_embeds_NAME of the authors' tree");
}

void add_settings_option(CLI::App& command, std::vector<std::string>& settings,
                         const std::string& explanation) {
  command.add_option("--set", settings, explanation + "; may be repeated")->allow_extra_args(false);
}

void apply_option(Config& config, const std::string& key, const std::string& value) {
  try {
    apply_setting(config, key + "=" + value);
  } catch (const RefusedSetting& refused) {
    throw std::invalid_argument(fmt::format("--{} {}: {}", key, value, refused.sentence()));
  }
}

void add_machine_options(CLI::App& command, std::string& device, int& threads) {
  command.add_option("--device", device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  command.add_option("--threads", threads, "0: all processors")->check(CLI::Range(0, 4096));
}

void add_run_options(CLI::App& command, LoadRequest& request) {
  command.add_option("RUN", request.run, "run folder, checkpoint or folder of .npy weights")
      ->required();
  command.add_option("--data", request.data, "dataset instead of the run's own");
  command.add_flag("--force", request.force,
                   "go on where the dataset's language model is not the run's");
  add_settings_option(command, request.settings, "key=value for a folder of .npy weights");
  add_language_option(command, request.language);
  add_machine_options(command, request.device, request.threads);
}

void add_new_item_options(CLI::App& command, LoadRequest& request) {
  CLI::Option* table =
      command.add_option("--new-items", request.new_items,
                         "items after the dataset's, as in items.tsv, known by their titles alone");
  CLI::Option* vectors = command.add_option("--new-vectors", request.new_vectors,
                                            "their language vectors, a row each (.npy)");
  table->needs(vectors);
  vectors->needs(table);
}

void add_list_options(CLI::App& command, int64_t& k, std::string& format,
                      const std::vector<std::string>& formats) {
  command.add_option("--topk", k, "items a list")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  command.add_option("--format", format)->check(CLI::IsMember(formats))->capture_default_str();
}

void print_notices(const LoadedRun& run) {
  for (const std::string& notice : run.notices) fmt::print(stderr, "{}\n", notice);
}

}  // namespace rec
