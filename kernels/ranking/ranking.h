// ranking: for each list wanted, the k best items its user may be shown, of all items.
//
//   s(l, i) = user[user_row[l]] . item[i]     (unit rows: cosine)
//   best k by (higher score, then smaller item id), leaving out her masked items and forbidden items
//
// Scores are made a tile at a time and dropped: users x items never exists. A row with fewer than k
// candidates is filled up with id -1 and score -infinity. A score that is not finite is refused,
// also where it is masked.
//
// Repeatable: yes, for any number of threads, and whichever lists are asked for together.
// Why it works: docs/kernels/ranking.md   Test: tests/kernels/test_ranking.cpp
// Speed: bench/kernels/bench_ranking.cpp
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>

#include "kernels/common/check.h"
#include "kernels/common/precision.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec {

inline constexpr int kMaxMasks = 3;  // train, valid, test

struct RankingRequest {
  MatrixView<const float> user;        // [vectors, dim]: the vectors lists are made for
  MatrixView<const float> item;        // [items, dim]
  VectorView<const int32_t> user_row;  // [lists]: which vector each list takes
  VectorView<const int32_t> user_id;   // [lists]: which row of the masks belongs to each list
  CsrView mask[kMaxMasks];  // [users, items], sorted rows, repeats allowed; masks in use first
  int masks = 0;
  VectorView<const uint8_t> allowed;  // [items], 0 = never shown; or empty: all may be
};

inline void require_ranking_shapes(const RankingRequest& request,
                                   MatrixView<const int32_t> top_item,
                                   MatrixView<const float> top_score) {
  require(request.user.cols == request.item.cols,
          "ranking: users and items must have the same width");
  require(request.user_id.size == request.user_row.size, "ranking: one user id per list");
  require(request.masks >= 0 && request.masks <= kMaxMasks, "ranking: at most 3 masks");
  for (int m = 0; m < request.masks; ++m)
    require(request.mask[m].cols == request.item.rows, "ranking: a mask must cover all items");
  require(request.allowed.size == 0 || request.allowed.size == request.item.rows,
          "ranking: one allowed flag per item");
  require(top_item.rows == request.user_row.size && top_score.rows == request.user_row.size &&
              top_item.cols == top_score.cols && top_item.cols > 0,
          "ranking: results must be [lists, k] with k > 0");
}

[[noreturn]] inline void refuse_ranking_score(int64_t list, int64_t item) {
  throw std::domain_error(
      "ranking: the score of list " + std::to_string(list) + " for item " + std::to_string(item) +
      " is not finite; check the vectors of both for NaN, infinity or huge values");
}

namespace cpu {

// top_item [lists, k], top_score [lists, k] overwritten, best first. Throws std::domain_error
// naming the list and the item of the first score that is not finite.
void rank(const RankingRequest& request, MatrixView<int32_t> top_item, MatrixView<float> top_score);

}  // namespace cpu
namespace cuda {

// As above, and which lists are asked for together changes no bit. Alone among the kernels it waits
// for the stream: what is refused is known when the scores are.
//
// Lists and scores are those of fp32 to the last bit, whatever the precision. In tf32 and bf16,
// lists of up to 32 are looked for among products of tensor cores, and made again in fp32 where
// these cannot tell; returned is how many of them that were. Longer ones are made in fp32 at once.
//
// In fp32, lists of up to 32 are kept in shared memory. Longer ones are kept in scratch, and beyond
// 2,048 they are sorted there too and the items of a list are not shared out: slower.
int64_t rank(const RankingRequest& request, MatrixView<int32_t> top_item,
             MatrixView<float> top_score, VectorView<std::byte> scratch, Precision precision,
             Stream stream);

// The scratch that keeps a whole GPU busy, but not more than most_bytes unless one block needs more,
// besides a rounded copy of the items in tf32 and bf16. rank takes less, down to most_bytes = 0, and
// then does fewer lists at once.
int64_t rank_scratch_bytes(int64_t lists, int64_t items, int64_t dim, int64_t k,
                           Precision precision, int64_t most_bytes = int64_t{256} * 1024 * 1024);

}  // namespace cuda
}  // namespace rec
