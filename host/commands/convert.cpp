#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <stdexcept>

#include "host/commands/commands.h"
#include "host/dataset/conversion.h"
#include "host/formats/unfinished_folder.h"
#include "host/progress/progress.h"

namespace rec {
namespace {

const std::map<std::string, OtherFormat> kFormats = {{"recbole", OtherFormat::recbole},
                                                     {"lightgcn", OtherFormat::lightgcn},
                                                     {"csv", OtherFormat::csv}};

struct Options {
  std::string data, format, folder, name;
  bool quiet = false;
};

int run_convert(const Options& options) {
  const OtherFormat format = kFormats.at(options.format);
  if (format != OtherFormat::recbole && !options.name.empty())
    throw std::invalid_argument("--name is of --to recbole alone; leave it out");
  if (options.name.find('/') != std::string::npos)
    throw std::invalid_argument(fmt::format(
        "--name {}: names the files in the folder of --out, so it may hold no '/'", options.name));
  require_free_folder(options.folder);
  DatasetOptions reading;
  reading.allow_overlap = true;  // what stands twice there may stand twice here
  reading.allow_owning_all = true;
  reading.any_language = true;  // vectors stay where they are
  const Dataset data = load_dataset(options.data, reading);
  const int64_t all = data.train.entries() + data.valid.entries() + data.test.entries();
  std::vector<std::string> files;
  {
    Progress progress(all, options.quiet);
    files = convert_dataset(
        data, format, options.name.empty() ? data.name : options.name, options.folder,
        [&](int64_t done) { progress.update(done, fmt::format("{}/{} interactions", done, all)); });
  }
  fmt::print("{}: {} users, {} items; {} train, {} valid, {} test\n", options.folder, data.users,
             data.items, data.train.entries(), data.valid.entries(), data.test.entries());
  fmt::print("files: {}\n", fmt::join(files, ", "));
  if (data.user_table.size() == 0) fmt::print("no users.tsv: users go by their numbers\n");
  if (data.item_table.size() == 0)
    fmt::print("no items.tsv: items go by their numbers, without titles\n");
  return 0;
}

}  // namespace

Command add_convert(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("convert", "A dataset in the files of other programs");
  command->add_option("DATA", options->data, "dataset folder, or the authors' release tree")
      ->required();
  command->add_option("--to", options->format, "whose files")
      ->check(CLI::IsMember(kFormats))
      ->required();
  command->add_option("--out", options->folder, "folder to write")->required();
  command->add_option("--name", options->name,
                      "what RecBole calls the dataset; as its folder is called");
  command->add_flag("--quiet", options->quiet, "no progress");
  return [options] { return run_convert(*options); };
}

}  // namespace rec
