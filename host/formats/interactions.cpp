#include "host/formats/interactions.h"

#include <algorithm>

#include "host/formats/file_error.h"
#include "host/formats/id_line.h"
#include "host/formats/lines.h"
#include "host/formats/mapped_file.h"

namespace rec {

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
    std::sort(csr.col.begin() + first, csr.col.end());
    for (auto item = csr.col.begin() + first; item != csr.col.end(); ++item)
      result.duplicates += item != csr.col.begin() + first && item[0] == item[-1];
    if (repeats == Repeats::once)
      csr.col.erase(std::unique(csr.col.begin() + first, csr.col.end()), csr.col.end());
    result.listed[static_cast<size_t>(user)] = 1;
    csr.row_start[static_cast<size_t>(user) + 1] = static_cast<int64_t>(csr.col.size()) - first;
  }
  for (size_t u = 1; u < csr.row_start.size(); ++u) csr.row_start[u] += csr.row_start[u - 1];
  return result;
}

Interactions read_interactions(const std::string& path, Repeats repeats) {
  return parse_interactions(MappedFile(path).bytes(), path, repeats);
}

}  // namespace rec
