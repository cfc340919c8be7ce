#include <fmt/chrono.h>
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "host/commands/commands.h"
#include "host/embed/lsa.h"
#include "host/embed/randomised_svd.h"
#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/item_texts.h"
#include "host/formats/mapped_file.h"
#include "host/formats/npy.h"
#include "host/progress/progress.h"
#include "kernels/common/threads.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWidth = 384, kWidest = 4096;

struct Options {
  std::string data, method = "lsa", basis;
  std::optional<int64_t> width;
  std::vector<std::string> columns = {"title"};
  uint64_t seed = 101;
  bool allow_empty = false, restart = false, quiet = false;
  int threads = 0;

  std::string file(const char* name) const { return data + "/" + name; }
  std::string table() const { return file("items.tsv"); }
  std::string vectors() const { return file("item_language.npy"); }
  std::string basis_beside() const { return file("item_language_basis.safetensors"); }
};

void refuse_folder(const Options& options) {
  std::error_code ignored;
  if (!fs::is_directory(options.data, ignored))
    throw FileError(options.data, "is no folder; give a dataset folder with items.tsv");
  if (is_there(options.file("cf_data")))
    throw FileError(options.data,
                    "is the authors' release tree, which has its vectors in item_info; give a "
                    "dataset folder with items.tsv");
  if (!options.restart && is_there(options.vectors()))
    throw FileError(options.vectors(), "is there already; --restart makes it anew");
  for (const std::string& file : {options.basis_beside(), options.vectors()}) {
    const AtomicFile writable(file);  // what cannot be written shows now, not when all is made
    remove_leftovers_of(file);
  }
}

// "2 items: 4, 17"
std::string listed(const std::vector<int64_t>& items) {
  constexpr size_t kShown = 5;
  const std::vector<int64_t> first(items.begin(),
                                   items.begin() + ptrdiff_t(std::min(items.size(), kShown)));
  return fmt::format("{} item{}: {}{}", items.size(), items.size() == 1 ? "" : "s",
                     fmt::join(first, ", "), items.size() > kShown ? ", ..." : "");
}

// what: why they have no vector
void refuse_items(const std::vector<int64_t>& items, const ItemTexts& texts, const char* what,
                  const Options& options) {
  if (items.empty() || options.allow_empty) return;
  throw FileError(
      options.table(), texts.line[size_t(items[0])],
      fmt::format("{} ({}); fill in the column, choose others with --text-cols, or give such items "
                  "a direction drawn at random with --allow-empty",
                  what, listed(items)));
}

LsaBasis basis_of(const FeatureCounts& counts, const Options& options) {
  if (!options.basis.empty()) {
    LsaBasis basis = read_lsa_basis(options.basis);
    if (options.width && *options.width != basis.width)
      throw FileError(options.basis, fmt::format("is {} wide, not {}; leave out --width",
                                                 basis.width, *options.width));
    return basis;
  }
  Progress progress(kSvdSteps, options.quiet);
  int64_t done = 0;
  progress.update(done, "singular vectors");
  return make_lsa_basis(counts, options.width.value_or(kWidth), options.seed,
                        [&] { progress.update(++done, "singular vectors"); });
}

// "title column of items.tsv"
std::string source_of(const Options& options) {
  return fmt::format("{} column{} of items.tsv", fmt::join(options.columns, ", "),
                     options.columns.size() > 1 ? "s" : "");
}

// What data/embed_items.py writes of its vectors, as far as it applies.
std::string facts_of(const LsaBasis& basis, const ItemTexts& texts, const Options& options) {
  nlohmann::ordered_json facts = {
      {"model", fmt::format("lsa-{}", basis.width)},
      {"width", basis.width},
      {"basis", basis.hash()},
      {"text", source_of(options)},
      {"text_columns", options.columns},
      {"normalised", true},
      {"dtype", "float32"},
      {"texts", checksum_of_texts(texts.text)},
      {"date", fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)))}};
  return facts.dump(2) + "\n";
}

// The vectors come last, and earlier ones go before anything describes others: whenever this is
// cut short, no vectors stand beside what was said of others.
void write_all(const LsaBasis& basis, const LsaVectors& vectors, const ItemTexts& texts,
               const Options& options) {
  write_lsa_basis(options.basis_beside(), basis);
  std::error_code failed;
  fs::remove(options.vectors(), failed);
  if (failed) throw FileError(options.vectors(), "cannot be replaced (" + failed.message() + ")");
  write_whole_file(options.file("item_language.json"), facts_of(basis, texts, options));
  write_npy(options.vectors(),
            MatrixView<const float>(vectors.value.data(), int64_t(texts.text.size()), basis.width));
}

int run_embed(const Options& options) {
  refuse_folder(options);
  const cpu::ThreadsInUse threads(options.threads > 0 ? options.threads : omp_get_num_procs());
  const ItemTexts texts = read_item_texts(options.table(), options.columns);
  const FeatureCounts counts = count_features(texts.text);
  std::vector<int64_t> without_text;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i].empty()) without_text.push_back(int64_t(i));
  refuse_items(without_text, texts, "the item's text has no word", options);

  fmt::print("texts              {}, {} items\n", source_of(options), counts.size());
  std::fflush(stdout);  // what comes next takes a while
  const LsaBasis basis = basis_of(counts, options);
  LsaVectors vectors = vectors_of(basis, counts);
  refuse_items(vectors.unplaced, texts, "the item's text has nothing that the basis knows",
               options);
  const auto items = int64_t(texts.text.size());
  draw_directions(vectors.unplaced, options.seed, {vectors.value.data(), items, basis.width});
  write_all(basis, vectors, texts, options);

  if (!vectors.unplaced.empty()) fmt::print("drawn at random    {}\n", listed(vectors.unplaced));
  fmt::print("basis              {} of {} features{}\n", basis.hash(),
             basis.vocabulary.feature.size(),
             options.basis.empty() ? "" : ", from " + options.basis);
  fmt::print(
      "{}: {} x {}, float32, lsa-{}: from which terms go together, without a language "
      "model\n",
      options.vectors(), items, basis.width, basis.width);
  return 0;
}

}  // namespace

Command add_embed(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "embed", "Vectors of items' texts without a language model: good enough to start with");
  command->add_option("DATA", options->data, "dataset folder with items.tsv")->required();
  command->add_option("--method", options->method, "lsa: latent semantic analysis")
      ->check(CLI::IsMember({"lsa"}))
      ->capture_default_str();
  command
      ->add_option("--width", options->width,
                   fmt::format("of the vectors; {}, or the basis's", kWidth))
      ->check(CLI::Range(int64_t{1}, kWidest));
  command->add_option("--basis", options->basis,
                      "item_language_basis.safetensors of another dataset, to share a model with");
  command
      ->add_option("--text-cols", options->columns,
                   "columns of items.tsv, with commas between them")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of the basis, and of directions drawn at random")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  command->add_flag("--allow-empty", options->allow_empty,
                    "a direction drawn at random for items without text");
  command->add_flag("--restart", options->restart, "in the place of vectors that are there");
  command->add_option("--threads", options->threads, "0: all processors")
      ->check(CLI::Range(0, 4096));
  command->add_flag("--quiet", options->quiet, "no progress");
  return [options] { return run_embed(*options); };
}

}  // namespace rec
