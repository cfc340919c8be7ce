// A dataset in host memory: read from a dataset folder or the authors' release tree, or put together
// from arrays (host/library/memory_dataset.h).
//
// Dataset folder: train.txt, valid.txt, test.txt, items.tsv, users.tsv, item_language.npy,
// item_language.json, config.toml; only train.txt must be there.
// The authors' tree: cf_data/{train,valid,test}.txt and item_info/item_cf_embeds_NAME_array.npy, of
// which there may be several; NAME may also be what their option --lm_model calls it (v2, v3,
// llama3_7b, ...). item_cf_embeds_NAME_array.json, else item_language.json beside it, says which
// language model made them; without either NAME does.
//
// Accepted and counted: repeated interactions, users without training items (nothing is known of
// them, so all get one ranking), items without training interactions (cold), an empty or missing
// valid.txt or test.txt. Refused: a user id that no file names (a gap), an interaction in two
// splits, a user who owns every item in train (there are no negatives for her), ids beyond the
// language vectors' rows, NaN, infinite or all-zero language vectors, tables of other sizes.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/host_csr.h"
#include "host/formats/id_table.h"
#include "host/formats/interactions.h"
#include "kernels/common/views.h"

namespace rec {

// Which language model made the vectors, from item_language.json; empty fields when nothing says
// so.
struct LanguageModel {
  std::string model;  // "all-MiniLM-L6-v2"
  std::string basis;  // hash of what spans the space: weights, or an LSA basis
};

// Which texts the vectors were made of, from item_language.json; empty fields when nothing says so.
struct EmbeddedTexts {
  std::vector<std::string> columns;  // of items.tsv
  std::string checksum;              // checksum_of_texts()
};

// As far as both are known: vectors of the two do not lie in one space.
bool differ(const LanguageModel& a, const LanguageModel& b);
// "'all-MiniLM-L6-v2'", with its basis where that is known.
std::string described(const LanguageModel& model);

// A copy shares the values.
class LanguageMatrix {
 public:
  LanguageMatrix() = default;
  // Checks every row: finite and not all zero.
  explicit LanguageMatrix(const std::string& path);
  // Values that lie in memory already, [rows, width]: not copied, and checked likewise. They must
  // stay as they are. name: for the sentence of a refusal.
  LanguageMatrix(std::shared_ptr<const float> values, int64_t rows, int64_t width,
                 const std::string& name);
  // One matrix of several of one width, row behind row.
  explicit LanguageMatrix(const std::vector<const LanguageMatrix*>& parts);
  MatrixView<const float> view() const { return {values_.get(), rows_, width_}; }
  // Rows of the same width after its own, which are copied into memory.
  void append(const LanguageMatrix& more);
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }

 private:
  void hold(std::shared_ptr<const float> values, int64_t rows, int64_t width);
  void hold(std::vector<float> values, int64_t rows, int64_t width);

  std::shared_ptr<const float> values_;  // of a mapped file, of memory of its own, or a caller's
  int64_t rows_ = 0, width_ = 0;
};

enum class Split { train, valid, test };

struct Dataset {
  std::string path;        // where it lies; for data in memory what sentences call it
  bool in_memory = false;  // lies nowhere
  std::string name;        // the folder's
  int64_t users = 0;
  int64_t items = 0;
  HostCsr train, valid, test;      // each [users, items]
  int64_t duplicates = 0;          // repeated interactions
  IdTable user_table, item_table;  // empty where there is no file
  LanguageMatrix language;         // 0 rows where there is none
  LanguageModel language_model;
  EmbeddedTexts embedded_texts;
  std::string fingerprint;  // of splits and language vectors, 16 hexadecimal digits
  std::string config_path;  // the dataset's own config.toml, or ""

  bool has_language() const { return language.rows() > 0; }
  const HostCsr& split(Split which) const;
  // What to call a user or an item: the original id where a table has it, else the number.
  std::string user_name(int64_t user) const;
  std::string item_name(int64_t item) const;
  std::string item_title(int64_t item) const;
};

struct DatasetOptions {
  std::string language;             // which item_cf_embeds_NAME_array.npy of the authors' tree
  bool allow_overlap = false;       // keep interactions that stand in two splits
  bool any_language = false;        // where there are several and none is named: the first by name
  Repeats repeats = Repeats::once;  // of training interactions: once, or an edge each time
  bool allow_owning_all = false;    // keep users who own every item in train
};

Dataset load_dataset(const std::string& path, const DatasetOptions& options = {});

// What items.tsv has other than what the language vectors were made of, for a sentence; "" where it
// has the same, or nothing says what they were made of.
std::string text_difference(const Dataset& data);

// Items after the dataset's own, which nobody has interacted with: table is as items.tsv, with
// numbers that go on after the last item's, and vectors holds their language vectors, a row each.
// The fingerprint stays that of the dataset as it lies on the disk. Refuses files that do not fit
// each other or the dataset, which must have language vectors.
void append_items(Dataset& data, const std::string& table, const std::string& vectors);

// Refuses, as a place to write into, a folder that holds a dataset of either layout.
void refuse_dataset_folder(const std::string& folder);

// Calls each(user, item) for every interaction in both splits, users and then items ascending.
template <class Each>
void for_each_shared(const Dataset& data, Split a, Split b, Each each) {
  const CsrView first = data.split(a).view(), second = data.split(b).view();
  for (int64_t u = 0; u < data.users; ++u) {
    const int32_t* seen = first.row(u);
    const int32_t* other = second.row(u);
    for (int64_t e = 0; e < second.degree(u); ++e)
      if (std::binary_search(seen, seen + first.degree(u), other[e])) each(u, other[e]);
  }
}

}  // namespace rec
