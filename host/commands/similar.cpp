#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "host/commands/commands.h"
#include "host/commands/item_names.h"
#include "host/commands/list_printer.h"
#include "host/commands/shared_options.h"

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
  print_notices(run);
  const MatrixView<const float> items = run.model->representations().item();
  // The item itself is left out by a mask whose row `item` holds it alone.
  HostCsr itself{run.data.items, run.data.items, {}, {item}};
  itself.row_start.assign(size_t(run.data.items) + 1, 0);
  for (size_t r = size_t(item) + 1; r < itself.row_start.size(); ++r) itself.row_start[r] = 1;
  const DeviceCsr mask(backend, itself.view());
  const TopLists lists = VectorRanker(backend, items, items)
                             .rank({item}, {mask.view()}, {}, std::min(options.k, run.data.items));
  ListPrinter printer(run.data, options.format, "item");
  printer.print(options.item,
                "like " + options.item + " (" + run.data.item_title(item) + "):", lists, 0);
  printer.finish();
  return 0;
}

}  // namespace

Command add_similar(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("similar", "The items nearest to an item in a run's space");
  add_run_options(*command, options->load);
  add_new_item_options(*command, options->load);
  command->add_option("--item", options->item, "external id")->required();
  add_list_options(*command, options->k, options->format, {"table", "tsv", "jsonl"});
  return [options] { return run_similar(*options); };
}

}  // namespace rec
