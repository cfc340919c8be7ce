#include <fmt/chrono.h>
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "host/commands/commands.h"
#include "host/commands/item_names.h"
#include "host/embed/lsa.h"
#include "host/embed/randomised_svd.h"
#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/item_texts.h"
#include "host/formats/mapped_file.h"
#include "host/formats/npy.h"
#include "host/formats/safetensors.h"
#include "host/progress/progress.h"
#include "host/run/folder_lock.h"
#include "kernels/common/threads.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWidth = 384, kWidest = 4096;
constexpr size_t kLongestText = 1 << 20;  // bytes; counting terms takes some 20 times as many

struct Options {
  std::string data, method = "lsa", basis;
  std::optional<int64_t> width;
  std::string text_cols = "title";
  std::vector<std::string> columns;  // what text_cols lists
  uint64_t seed = 101;
  bool allow_empty = false, restart = false, quiet = false;
  int threads = 0;

  std::string file(const char* name) const { return data + "/" + name; }
  std::string table() const { return file("items.tsv"); }
  std::string vectors() const { return file("item_language.npy"); }
  std::string facts() const { return file("item_language.json"); }
  std::string basis_beside() const { return file("item_language_basis.safetensors"); }
  // What data/embed_items.py goes on from, the journal first.
  std::vector<std::string> unfinished() const {
    return {vectors() + ".journal", vectors() + ".part"};
  }
};

void refuse_folder(const Options& options) {
  std::error_code ignored;
  if (!fs::is_directory(options.data, ignored))
    throw FileError(options.data, "is no folder; give a dataset folder with items.tsv");
  if (is_there(options.file("cf_data")))
    throw FileError(options.data,
                    "is the authors' release tree, which has its vectors in item_info; give a "
                    "dataset folder with items.tsv");
}

void refuse_files(const Options& options) {
  if (!options.restart && is_there(options.vectors()))
    throw FileError(options.vectors(), "is there already; --restart makes it anew");
  for (const std::string& file : {options.basis_beside(), options.facts(), options.vectors()}) {
    const AtomicFile writable(file);  // what cannot be written shows now, not when all is made
    remove_leftovers_of(file);
  }
  if (options.restart) return;
  for (const std::string& file : options.unfinished())
    if (is_there(file))
      throw FileError(file,
                      "is of vectors that data/embed_items.sh has not finished; go on with that, "
                      "or take these in their place with --restart");
  if (options.basis.empty() && is_there(options.basis_beside()))
    throw FileError(options.basis_beside(),
                    "is there already, without vectors; take it with --basis, or make it anew with "
                    "--restart");
}

void refuse_long_texts(const ItemTexts& texts, const Options& options) {
  for (size_t i = 0; i < texts.text.size(); ++i)
    if (texts.text[i].size() > kLongestText)
      throw FileError(options.table(), texts.line[i],
                      fmt::format("the item's text has {} bytes, more than {}; shorten it, or "
                                  "choose other columns with --text-cols",
                                  texts.text[i].size(), kLongestText));
}

// "2 items: 4, 17"
std::string listed(const std::vector<int64_t>& items) {
  constexpr size_t kShown = 5;
  const std::vector<int64_t> first(items.begin(),
                                   items.begin() + ptrdiff_t(std::min(items.size(), kShown)));
  return fmt::format("{} item{}: {}{}", items.size(), items.size() == 1 ? "" : "s",
                     fmt::join(first, ", "), items.size() > kShown ? ", ..." : "");
}

constexpr const char* kOtherTexts = "fill in the column, choose others with --text-cols";

// what: why they have no vector; instead: what to do but draw one
void refuse_items(const std::vector<int64_t>& items, const ItemTexts& texts,
                  const std::string& what, const std::string& instead, const Options& options) {
  if (items.empty() || options.allow_empty) return;
  throw FileError(options.table(), texts.line[size_t(items[0])],
                  fmt::format("{} ({}); {}, or give such items a direction drawn at random with "
                              "--allow-empty",
                              what, listed(items), instead));
}

// The items without a vector, ascending; refused where they are not to be drawn.
std::vector<int64_t> unplaced_items(const LsaVectors& vectors, const LsaBasis& basis,
                                    const ItemTexts& texts, const Options& options) {
  refuse_items(vectors.unknown, texts, "the item's text has nothing that the basis knows",
               kOtherTexts, options);
  refuse_items(
      vectors.outside, texts,
      fmt::format("the item's text shares too little with other items' texts for --width {}",
                  basis.width),
      options.basis.empty() ? "take a larger --width" : "take a basis of a larger --width",
      options);
  std::vector<int64_t> unplaced;
  std::merge(vectors.unknown.begin(), vectors.unknown.end(), vectors.outside.begin(),
             vectors.outside.end(), std::back_inserter(unplaced));
  return unplaced;
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

void remove_file(const std::string& path) {
  std::error_code failed;
  fs::remove(path, failed);
  if (failed) throw FileError(path, "cannot be replaced (" + failed.message() + ")");
}

// Links are followed, as by those that come in their place.
void remove_earlier_vectors(const Options& options) {
  for (const std::string& file : options.unfinished()) remove_file(file);
  std::error_code not_there;
  const fs::path file = fs::canonical(options.vectors(), not_there);
  if (!not_there && fs::is_regular_file(file, not_there)) remove_file(file.string());
}

// Earlier files stay until all is written beside them: a full disk leaves them as they are. The
// vectors come last, and earlier ones go before anything describes others: whenever this is cut
// short, no vectors stand beside what was said of others.
void write_all(const LsaBasis& basis, const LsaVectors& vectors, const ItemTexts& texts,
               const Options& options) {
  AtomicFile basis_file(options.basis_beside()), facts_file(options.facts());
  NpyStream vectors_file(options.vectors(), "'<f4'",
                         fmt::format("{}, {}", texts.text.size(), basis.width));
  write_safetensors(basis_file, safetensors_of(basis));
  facts_file.write(facts_of(basis, texts, options));
  vectors_file.write(vectors.value.data(), vectors.value.size() * sizeof(float));
  remove_earlier_vectors(options);
  basis_file.commit();
  facts_file.commit();
  vectors_file.commit();
}

int run_embed(const Options& options) {
  refuse_folder(options);
  FolderLock lock("another process is making files in it; wait for its end");
  lock.take(options.data);
  refuse_files(options);
  const cpu::ThreadsInUse threads(options.threads > 0 ? options.threads : omp_get_num_procs());
  const ItemTexts texts = read_item_texts(options.table(), options.columns);
  refuse_long_texts(texts, options);
  const FeatureCounts counts = count_features(texts.text);
  std::vector<int64_t> without_text;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i].empty()) without_text.push_back(int64_t(i));
  refuse_items(without_text, texts, "the item's text has no word", kOtherTexts, options);

  fmt::print("texts              {}, {} items\n", source_of(options), counts.size());
  std::fflush(stdout);  // what comes next takes a while
  const LsaBasis basis = basis_of(counts, options);
  LsaVectors vectors = vectors_of(basis, counts);
  const std::vector<int64_t> unplaced = unplaced_items(vectors, basis, texts, options);
  const auto items = int64_t(texts.text.size());
  draw_directions(unplaced, options.seed, {vectors.value.data(), items, basis.width});
  write_all(basis, vectors, texts, options);

  if (!unplaced.empty()) fmt::print("drawn at random    {}\n", listed(unplaced));
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
      ->add_option("--text-cols", options->text_cols,
                   "columns of items.tsv, with commas between them")
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
  return [options] {
    options->columns = split_list(options->text_cols, "--text-cols");
    return run_embed(*options);
  };
}

}  // namespace rec
