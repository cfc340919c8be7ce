#include "host/library/checks.h"

#include <fmt/format.h>

#include <limits>
#include <stdexcept>

namespace rec {
namespace {

constexpr int64_t kMostIds = std::numeric_limits<int32_t>::max();

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

}  // namespace

void require_offsets(CsrView csr, int64_t entries, const std::string& name) {
  if (csr.rows > kMostIds || csr.cols > kMostIds)
    refuse(fmt::format("{}: expected at most {} users and as many items, given {} and {}", name,
                       kMostIds, csr.rows, csr.cols));
  if (csr.row_start[0] != 0 || csr.row_start[csr.rows] != entries)
    refuse(fmt::format("{}: expected offsets from 0 to its {} entries, given {} to {}", name,
                       entries, csr.row_start[0], csr.row_start[csr.rows]));
  for (int64_t r = 0; r < csr.rows; ++r)
    if (csr.row_start[r] > csr.row_start[r + 1])
      refuse(fmt::format("{}: expected offsets that ascend, given {} after {} for user {}", name,
                         csr.row_start[r + 1], csr.row_start[r], r));
}

void require_sorted_items(CsrView csr, bool repeats, const std::string& name,
                          const OrderAdvice& advice) {
  for (int64_t r = 0; r < csr.rows; ++r)
    for (int64_t e = csr.row_start[r]; e < csr.row_start[r + 1]; ++e) {
      const int32_t item = csr.col[e];
      if (item < 0 || item >= csr.cols)
        refuse(fmt::format("{}: expected items from 0 to {}, given {} for user {}", name,
                           csr.cols - 1, item, r));
      if (e == csr.row_start[r] || csr.col[e - 1] < item) continue;
      if (csr.col[e - 1] > item)
        refuse(
            fmt::format("{}: expected each user's items in ascending order, given {} after {} "
                        "for user {}{}",
                        name, item, csr.col[e - 1], r, advice.unsorted));
      if (!repeats)
        refuse(fmt::format("{}: expected each of a user's items once, given {} twice for user {}{}",
                           name, item, r, advice.repeated));
    }
}

void require_covers(CsrView csr, const std::string& name, MatrixView<const float> user,
                    MatrixView<const float> item) {
  if (csr.rows != user.rows || csr.cols != item.rows)
    refuse(fmt::format("{}: expected {} users and {} items as the vectors have, given {} and {}",
                       name, user.rows, item.rows, csr.rows, csr.cols));
}

void refuse_id(int64_t id, const char* name, const char* of, int64_t count) {
  refuse(fmt::format("{}: expected {} from 0 to {}, given {}", name, of, count - 1, id));
}

void require_same_width(MatrixView<const float> user, MatrixView<const float> item) {
  if (user.cols != item.cols)
    refuse(fmt::format("item_vectors: expected rows of {} values as user_vectors has, given {}",
                       user.cols, item.cols));
  if (user.cols == 0) refuse("item_vectors: expected rows of at least one value, given 0");
}

void require_rows(MatrixView<const float> x, const char* name, int64_t rows, const char* of) {
  if (x.rows != rows)
    refuse(fmt::format("{}: expected {} rows, one for each of the graph's {}, given {}", name, rows,
                       of, x.rows));
}

void require_batch(const BatchIds& ids, const BatchLossSettings& settings) {
  const bool bpr = settings.kind == Objective::bpr;
  if (ids.user.size == 0 || ids.positive.size != ids.user.size ||
      ids.negative.rows != ids.user.size)
    refuse(fmt::format(
        "users, positives, negatives: expected one row each for every row of the batch, "
        "at least one, given {}, {} and {}",
        ids.user.size, ids.positive.size, ids.negative.rows));
  if (bpr ? ids.negative.cols != 1 : ids.negative.cols < 1)
    refuse(fmt::format("negatives: expected {} a row, given {}", bpr ? "one" : "at least one",
                       ids.negative.cols));
  if (!bpr && !(settings.tau > 0))
    refuse(fmt::format("tau: expected a number above 0, given {}", settings.tau));
}

}  // namespace rec
