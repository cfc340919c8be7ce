#include <CLI/CLI.hpp>
#include <memory>

#include "host/commands/commands.h"
#include "host/commands/item_names.h"
#include "host/commands/list_printer.h"
#include "host/commands/shared_options.h"
#include "host/library/recommender.h"

namespace rec {
namespace {

struct Options {
  LoadRequest load;
  std::string item, format = "table";
  int64_t k = 10;
};

int run_similar(const Options& options) {
  Recommender recommender(load_run(options.load));
  const Dataset& data = recommender.data();
  const int32_t item = items_named(data, {options.item})[0];
  print_notices(recommender.run());
  ListRequest request;
  request.k = options.k;
  const TopLists lists = recommender.similar_items({item}, request);
  ListPrinter printer(data, options.format, "item");
  printer.print(options.item, "like " + options.item + " (" + data.item_title(item) + "):", lists,
                0);
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
