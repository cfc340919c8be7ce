#include "host/dataset/dataset_parts.h"

#include <algorithm>
#include <filesystem>

#include "host/formats/content_hash.h"
#include "host/formats/file_error.h"

namespace rec {
namespace {

// "train.txt" of a path that ends so.
std::string short_name(const std::string& name) {
  return std::filesystem::path(name).filename().string();
}

void refuse_overlap(const Dataset& data, const PartNames& names, Split a, const std::string& a_name,
                    Split b, const std::string& b_name) {
  for_each_shared(data, a, b, [&](int64_t user, int32_t item) {
    throw FileError(names.data, "user " + std::to_string(user) + " has item " +
                                    std::to_string(item) + " in both " + short_name(a_name) +
                                    " and " + short_name(b_name) +
                                    "; an interaction belongs to one split");
  });
}

// Without vectors or a table the largest id alone says how many items there are, and one far beyond
// what the interactions could name would only ask for memory.
void refuse_far_item(const Dataset& data, const PartNames& names, int64_t interactions) {
  if (!data.has_language() && data.item_table.size() == 0 &&
      is_far_id(data.items - 1, interactions))
    throw FileError(names.data, "item " + std::to_string(data.items - 1) + " stands among only " +
                                    std::to_string(interactions) +
                                    " interactions; items must be numbered 0, 1, 2, ...");
}

void refuse_gap_in_users(const Dataset& data, const PartNames& names, const SplitParts& splits) {
  for (int64_t u = 0; u < data.users; ++u) {
    const auto lists = [u](const Interactions& split) {
      return u < split.items_of_user.rows && split.listed[size_t(u)];
    };
    if (!lists(splits.train) && !lists(splits.valid) && !lists(splits.test))
      throw FileError(names.data,
                      "user " + std::to_string(u) +
                          " stands in no split although larger ids do; ids must leave no gap");
  }
}

// Every count of items must agree: the splits', the vectors' and the table's.
int64_t count_items(const Dataset& data, const PartNames& names) {
  int64_t items = data.items;
  if (data.has_language()) {
    if (items > data.language.rows())
      throw FileError(names.language, "has " + std::to_string(data.language.rows()) +
                                          " rows, but the splits name item " +
                                          std::to_string(items - 1) +
                                          "; one row per item is needed");
    items = data.language.rows();
  }
  const int64_t titles = data.item_table.size();
  if (titles == 0) return items;
  if (titles < items)
    throw FileError(names.items, "names " + std::to_string(titles) + " items, but there are " +
                                     std::to_string(items));
  if (data.has_language() && titles > items)
    throw FileError(names.items, "names " + std::to_string(titles) +
                                     " items, but the language vectors have " +
                                     std::to_string(items) + " rows");
  return titles;
}

void require_user_table(const Dataset& data, const PartNames& names) {
  if (data.user_table.size() > 0 && data.user_table.size() != data.users)
    throw FileError(names.users, "names " + std::to_string(data.user_table.size()) +
                                     " users, but the splits have " + std::to_string(data.users));
}

int64_t distinct_items(CsrView train, int64_t user) {
  int64_t count = 0;
  for (const int32_t* item = train.row(user); item != train.row(user + 1); ++item)
    count += item == train.row(user) || item[0] != item[-1];
  return count;
}

void refuse_owning_all(const Dataset& data, const PartNames& names) {
  for (int64_t u = 0; u < data.users; ++u)
    if (distinct_items(data.train.view(), u) >= data.items)
      throw FileError(names.train, "user " + std::to_string(u) + " owns all " +
                                       std::to_string(data.items) +
                                       " items, so no negative can be drawn; leave this user out");
}

std::string fingerprint_of(const Dataset& data) {
  ContentHash hash;
  const auto add = [&](const auto* values, size_t count) {
    hash.add({reinterpret_cast<const char*>(values), count * sizeof(*values)});
  };
  for (const HostCsr* split : {&data.train, &data.valid, &data.test}) {
    add(split->row_start.data(), split->row_start.size());
    add(split->col.data(), split->col.size());
  }
  const MatrixView<const float> z = data.language.view();
  add(z.data, size_t(z.rows * z.cols));
  return hash.text();
}

}  // namespace

void complete(Dataset& data, SplitParts splits, const PartNames& names,
              const DatasetOptions& options) {
  int64_t interactions = 0;
  for (const Interactions* split : {&splits.train, &splits.valid, &splits.test}) {
    data.users = std::max(data.users, split->items_of_user.rows);
    data.items = std::max(data.items, split->items_of_user.cols);
    data.duplicates += split->duplicates;
    interactions += split->items_of_user.entries();
  }
  refuse_far_item(data, names, interactions);
  data.items = count_items(data, names);
  require_user_table(data, names);
  refuse_gap_in_users(data, names, splits);
  data.train = std::move(splits.train.items_of_user);
  data.valid = std::move(splits.valid.items_of_user);
  data.test = std::move(splits.test.items_of_user);
  for (HostCsr* split : {&data.train, &data.valid, &data.test})
    widen(*split, data.users, data.items);

  if (!options.allow_owning_all) refuse_owning_all(data, names);
  if (!options.allow_overlap) {
    refuse_overlap(data, names, Split::train, names.train, Split::valid, names.valid);
    refuse_overlap(data, names, Split::train, names.train, Split::test, names.test);
    refuse_overlap(data, names, Split::valid, names.valid, Split::test, names.test);
  }
  data.fingerprint = fingerprint_of(data);
}

}  // namespace rec
