// The options that several commands share, so that each is named,
// checked and explained in one place.
#pragma once
#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/run/loaded_run.h"

namespace rec {

// --language
void add_language_option(CLI::App& command, std::string& language);
// --set, once per setting
void add_settings_option(CLI::App& command, std::vector<std::string>& settings,
                         const std::string& explanation);
// An option that is a setting of its own: --epochs 5. Throws std::invalid_argument.
void apply_option(Config& config, const std::string& key, const std::string& value);
// --device, --threads
void add_machine_options(CLI::App& command, std::string& device, int& threads);
// RUN; --data, --force, --set, --language, --device, --threads
void add_run_options(CLI::App& command, LoadRequest& request);
// --new-items, --new-vectors
void add_new_item_options(CLI::App& command, LoadRequest& request);
// --topk, --format, one of formats
void add_list_options(CLI::App& command, int64_t& k, std::string& format,
                      const std::vector<std::string>& formats);

// On standard error; call it when nothing is left to refuse, so that a refusal stands alone.
void print_notices(const LoadedRun& run);

}  // namespace rec
