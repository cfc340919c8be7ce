#include "host/formats/interactions.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "host/formats/file_error.h"
#include "host/formats/id_line.h"
#include "host/formats/lines.h"
#include "host/formats/mapped_file.h"

namespace rec {

namespace {

// Of the row that begins at first and is the last so far: ascending, its repeats counted.
void order_row(Interactions& interactions, ptrdiff_t first, Repeats repeats) {
  std::vector<int32_t>& col = interactions.items_of_user.col;
  std::sort(col.begin() + first, col.end());
  for (auto item = col.begin() + first; item != col.end(); ++item)
    interactions.duplicates += item != col.begin() + first && item[0] == item[-1];
  if (repeats == Repeats::once) col.erase(std::unique(col.begin() + first, col.end()), col.end());
}

}  // namespace

bool is_far_id(int64_t id, int64_t named) {
  constexpr int64_t kRoom = 10'000'000;
  return id > kRoom && id / 100 > named;
}

Interactions parse_interactions(std::string_view text, const std::string& name, Repeats repeats) {
  struct Row {
    int32_t user;
    int64_t begin, end;  // of its items in `items`
  };
  std::vector<Row> rows;
  std::vector<int32_t> items;
  int32_t largest_user = -1, largest_item = -1;
  for_each_line(text, [&](std::string_view line, int64_t number) {
    IdLine reader(line, number, name, "user item item ...");
    int32_t user = 0, item = 0;
    if (!reader.next(user)) return;
    const int64_t first = static_cast<int64_t>(items.size());
    while (reader.next(item)) {
      items.push_back(item);
      largest_item = std::max(largest_item, item);
    }
    rows.push_back({user, first, static_cast<int64_t>(items.size())});
    largest_user = std::max(largest_user, user);
  });
  if (is_far_id(largest_user, int64_t(rows.size())))
    throw FileError(name, "user " + std::to_string(largest_user) + " stands among only " +
                              std::to_string(rows.size()) +
                              " lines; users must be numbered 0, 1, 2, ...");

  Interactions result;
  HostCsr& csr = result.items_of_user;
  csr.rows = int64_t(largest_user) + 1;
  csr.cols = int64_t(largest_item) + 1;
  result.listed.assign(static_cast<size_t>(csr.rows), 0);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.user < b.user; });
  csr.row_start.assign(static_cast<size_t>(csr.rows) + 1, 0);
  csr.col.reserve(items.size());
  for (size_t r = 0; r < rows.size();) {
    const int32_t user = rows[r].user;
    const auto first = static_cast<ptrdiff_t>(csr.col.size());
    for (; r < rows.size() && rows[r].user == user; ++r)
      csr.col.insert(csr.col.end(), items.begin() + rows[r].begin, items.begin() + rows[r].end);
    order_row(result, first, repeats);
    result.listed[static_cast<size_t>(user)] = 1;
    csr.row_start[static_cast<size_t>(user) + 1] = static_cast<int64_t>(csr.col.size()) - first;
  }
  for (size_t u = 1; u < csr.row_start.size(); ++u) csr.row_start[u] += csr.row_start[u - 1];
  return result;
}

Interactions interactions_of(CsrView csr, const std::string& name, Repeats repeats) {
  constexpr int64_t kMostIds = std::numeric_limits<int32_t>::max();  // the largest is one less
  if (csr.rows > kMostIds || csr.cols > kMostIds)
    throw FileError(name, "is " + std::to_string(csr.rows) + " by " + std::to_string(csr.cols) +
                              "; ids go up to " + std::to_string(kMostIds - 1));
  Interactions result;
  result.items_of_user.cols = csr.cols;
  result.listed.assign(static_cast<size_t>(csr.rows), 1);
  for (int64_t user = 0; user < csr.rows; ++user) {
    if (csr.row_start[0] != 0 || csr.degree(user) < 0)
      throw FileError(name, "user " + std::to_string(user) +
                                ": offsets must begin with 0 and never fall; the array is damaged");
    const auto first = static_cast<ptrdiff_t>(result.items_of_user.entries());
    for (int64_t e = 0; e < csr.degree(user); ++e)
      if (const int32_t item = csr.row(user)[e]; item < 0 || item >= csr.cols)
        throw FileError(name, "user " + std::to_string(user) + " has item " + std::to_string(item) +
                                  ", but items are numbered 0 to " + std::to_string(csr.cols - 1));
    add_row(result.items_of_user, {csr.row(user), csr.row(user) + csr.degree(user)});
    order_row(result, first, repeats);
    result.items_of_user.row_start.back() = result.items_of_user.entries();
  }
  return result;
}

Interactions read_interactions(const std::string& path, Repeats repeats) {
  return parse_interactions(MappedFile(path).bytes(), path, repeats);
}

}  // namespace rec
