// The program's commands. Each adds its options to the command
// line and returns what runs it: the exit status.
#pragma once
#include <CLI/App.hpp>
#include <functional>

namespace rec {

using Command = std::function<int()>;

Command add_train(CLI::App& app);
Command add_evaluate(CLI::App& app);
Command add_compare(CLI::App& app);
Command add_sweep(CLI::App& app);
Command add_split(CLI::App& app);
Command add_prepare(CLI::App& app);
Command add_embed(CLI::App& app);
Command add_convert(CLI::App& app);
Command add_recommend(CLI::App& app);
Command add_similar(CLI::App& app);
Command add_export(CLI::App& app);
Command add_info(CLI::App& app);
Command add_intention(CLI::App& app);
Command add_doctor(CLI::App& app);

}  // namespace rec
