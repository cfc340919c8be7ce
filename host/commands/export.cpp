#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <system_error>

#include "host/commands/commands.h"
#include "host/commands/shared_options.h"
#include "host/formats/atomic_file.h"
#include "host/formats/fvecs.h"
#include "host/formats/npy.h"
#include "host/library/recommender.h"

namespace rec {
namespace {

struct Options {
  LoadRequest load;
  std::string folder, format = "npy";
};

// file: without its ending. What an earlier export left there in the other format goes.
void write_vectors(const std::string& file, const std::string& format,
                   const std::vector<float>& vectors, int64_t dim) {
  const MatrixView<const float> rows(vectors.data(), int64_t(vectors.size()) / dim, dim);
  std::error_code ignored;  // what cannot be removed cannot be replaced either
  if (format == "npy") {
    std::filesystem::remove(file + ".fvecs", ignored);
    write_npy(file + ".npy", rows);
  } else {
    std::filesystem::remove(file + ".npy", ignored);
    write_fvecs(file + ".fvecs", rows);
  }
}

int run_export(const Options& options) {
  refuse_dataset_folder(options.folder);
  Recommender recommender(load_run(options.load));
  const Dataset& data = recommender.data();
  make_folder(options.folder);
  print_notices(recommender.run());
  const int64_t dim = recommender.dim();
  write_vectors(options.folder + "/user_vectors", options.format, recommender.user_vectors(), dim);
  write_vectors(options.folder + "/item_vectors", options.format, recommender.item_vectors(), dim);
  std::string users = "row\tuser\n", items = "row\titem\ttitle\n";
  for (int64_t u = 0; u < data.users; ++u) users += fmt::format("{}\t{}\n", u, data.user_name(u));
  for (int64_t i = 0; i < data.items; ++i)
    items += fmt::format("{}\t{}\t{}\n", i, data.item_name(i), data.item_title(i));
  write_whole_file(options.folder + "/users.tsv", users);
  write_whole_file(options.folder + "/items.tsv", items);
  fmt::print(
      "{0}: user_vectors.{1} [{2}, {4}], item_vectors.{1} [{3}, {4}], users.tsv, items.tsv; the "
      "inner product of two rows is the score\n",
      options.folder, options.format, data.users, data.items, dim);
  return 0;
}

}  // namespace

Command add_export(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("export", "Final user and item vectors and id maps of a run");
  add_run_options(*command, options->load);
  add_new_item_options(*command, options->load);
  command->add_option("--out", options->folder, "folder to write")->required();
  command
      ->add_option("--format", options->format,
                   "of the vectors: npy for NumPy, fvecs for programs of vector search")
      ->check(CLI::IsMember({"npy", "fvecs"}))
      ->capture_default_str();
  return [options] { return run_export(*options); };
}

}  // namespace rec
