#include "host/run/candidate_lists.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/id_line.h"
#include "host/formats/lines.h"
#include "host/formats/mapped_file.h"
#include "host/run/split_evaluator.h"

namespace rec {
namespace {

constexpr const char* kLayout = "user item item ...";

struct Row {
  int32_t user;
  std::vector<int32_t> candidates, positives;  // ascending
};

// What a line must hold, on one dataset and split.
class RowChecker {
 public:
  RowChecker(const Dataset& data, Split split, bool pooled, const std::string& name)
      : data_(data), split_(split), pooled_(pooled), name_(name) {}

  void check(Row& row, int64_t line) const {
    const auto refuse = [&](const std::string& sentence) {
      throw FileError(name_, line, sentence);
    };
    const std::string whose = "user " + std::to_string(row.user);
    if (row.user >= data_.users)
      refuse(whose + " is not in " + data_.name + ", which has users 0 to " +
             std::to_string(data_.users - 1));
    std::sort(row.candidates.begin(), row.candidates.end());
    const auto twice = std::adjacent_find(row.candidates.begin(), row.candidates.end());
    if (twice != row.candidates.end())
      refuse("item " + std::to_string(*twice) + " stands twice among the candidates");
    for (int32_t item : row.candidates) {
      if (item >= data_.items)
        refuse("item " + std::to_string(item) + " is not in " + data_.name +
               ", which has items 0 to " + std::to_string(data_.items - 1));
      if (has(split_, row.user, item))
        row.positives.push_back(item);
      else
        for (Split other : {Split::train, Split::valid, Split::test})
          if (has(other, row.user, item))
            refuse("item " + std::to_string(item) + " is in " + whose + "'s " + split_name(other) +
                   " split; candidates are items of the " + split_name(split_) +
                   " split and items she has in none");
    }
    if (row.positives.size() == row.candidates.size())
      refuse("holds no negative; a line is '" + std::string(kLayout) + "'");
    if (pooled_ && data_.split(split_).view().degree(row.user) == 0)
      refuse(whose + " has no item in the " + split_name(split_) + " split; leave her out");
    if (!pooled_ && row.positives.size() != 1)
      refuse("holds " + std::to_string(row.positives.size()) + " items of " + whose + "'s " +
             split_name(split_) + " split; one is needed, or --pooled");
  }

 private:
  bool has(Split split, int32_t user, int32_t item) const {
    const CsrView items = data_.split(split).view();
    return std::binary_search(items.row(user), items.row(user) + items.degree(user), item);
  }

  const Dataset& data_;
  Split split_;
  bool pooled_;
  const std::string& name_;
};

}  // namespace

CandidateLists parse_candidate_lists(std::string_view text, const std::string& name,
                                     const Dataset& data, Split split, bool pooled) {
  const RowChecker checker(data, split, pooled, name);
  std::vector<Row> rows;
  for_each_line(text, [&](std::string_view line, int64_t number) {
    IdLine ids(line, number, name, kLayout);
    Row row{};
    if (!ids.next(row.user)) return;
    for (int32_t item = 0; ids.next(item);) row.candidates.push_back(item);
    checker.check(row, number);
    rows.push_back(std::move(row));
  });
  if (rows.empty())
    throw FileError(name, "holds no candidates; a line is '" + std::string(kLayout) + "'");
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.user < b.user; });
  CandidateLists lists;
  lists.candidate.cols = lists.positive.cols = data.items;
  for (const Row& row : rows) lists.add(row.user, row.candidates, row.positives);
  return pooled ? rec::pooled(lists, data.split(split).view()) : lists;
}

CandidateLists read_candidate_lists(const std::string& path, const Dataset& data, Split split,
                                    bool pooled) {
  return parse_candidate_lists(MappedFile(path).bytes(), path, data, split, pooled);
}

void write_candidate_lists(const std::string& path, const CandidateLists& lists) {
  const CsrView candidate = lists.candidate.view(), positive = lists.positive.view();
  AtomicFile file(path);
  for (int64_t l = 0; l < lists.lists(); ++l) {
    std::string line = std::to_string(lists.user[size_t(l)]);
    std::vector<int32_t> items(positive.row(l), positive.row(l) + positive.degree(l));
    std::set_difference(candidate.row(l), candidate.row(l) + candidate.degree(l), positive.row(l),
                        positive.row(l) + positive.degree(l), std::back_inserter(items));
    for (int32_t item : items) line += " " + std::to_string(item);
    file.write(line + "\n");
  }
  file.commit();
}

}  // namespace rec
