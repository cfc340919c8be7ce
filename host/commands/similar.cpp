#include <CLI/CLI.hpp>
#include <memory>

#include "host/commands/commands.h"
#include "host/commands/item_names.h"
#include "host/commands/list_printer.h"
#include "host/run/loaded_run.h"

namespace rec {
namespace {

struct Options {
  LoadRequest load;
  std::string item, format = "table";
  int64_t k = 10;
};

int run_similar(const Options& options) {
  LoadedRun run = load_run(options.load);
  Backend& backend = *run.backend;
  const int32_t item = items_named(run.data, {options.item})[0];
  const MatrixView<const float> items = run.model->representations().item();
  // The item itself is left out by a mask whose row `item` holds it alone.
  HostCsr itself{run.data.items, run.data.items, {}, {item}};
  itself.row_start.assign(size_t(run.data.items) + 1, 0);
  for (size_t r = size_t(item) + 1; r < itself.row_start.size(); ++r) itself.row_start[r] = 1;
  const DeviceCsr mask(backend, itself.view());
  const TopLists lists =
      VectorRanker(backend, items, items).rank({item}, {mask.view()}, {}, options.k);
  ListPrinter(run.data, options.format, "item")
      .print(options.item, "like " + options.item + " (" + run.data.item_title(item) + "):", lists,
             0);
  return 0;
}

}  // namespace

Command add_similar(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("similar", "The items nearest to an item in a run's space");
  command->add_option("RUN", options->load.run, "run folder, checkpoint or folder of .npy weights")
      ->required();
  command->add_option("--item", options->item, "external id")->required();
  command->add_option("--topk", options->k)
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  command->add_option("--format", options->format)
      ->check(CLI::IsMember({"table", "tsv", "jsonl"}))
      ->capture_default_str();
  command->add_option("--data", options->load.data, "dataset instead of the run's own");
  command->add_option("--set", options->load.settings, "key=value for a folder of .npy weights");
  command->add_option("--device", options->load.device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  return [options] { return run_similar(*options); };
}

}  // namespace rec
