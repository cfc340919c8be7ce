// The sizes every kernel is timed at, and data of those sizes: synthetic, skewed, seeded.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"
#include "tests/support/batches.h"
#include "tests/support/graphs.h"

namespace rec::bench {

struct Shape {
  const char* name;
  int64_t users, items, edges;
  int64_t language_width;  // D
  int64_t hidden;          // H
  int64_t dim;             // d
  int64_t batch, negatives;

  int64_t nodes() const { return users + items; }
};

inline constexpr Shape kShapes[] = {
    {"ml-1m", 6040, 3043, 395767, 384, 768, 64, 4096, 256},
    {"amazon-scientific", 8442, 4217, 21302, 384, 768, 64, 4096, 256},
};

// The paper's datasets, which a GPU is timed at; training edges are those of its split.
inline constexpr Shape kPaperShapes[] = {
    {"books", 71306, 26073, 883612, 3072, 1536, 64, 4096, 256},
    {"movies", 26073, 12464, 350411, 3072, 1536, 64, 4096, 256},
    {"games", 40834, 14344, 156005, 3072, 1536, 64, 4096, 256},
};

// So small that an emulated GPU gets through it.
inline constexpr Shape kTinyShapes[] = {{"tiny", 150, 100, 1000, 48, 32, 16, 64, 8}};

// The training graph of that shape: exactly its edges, every user at least one, the popularity of
// items and the history lengths of users falling as a power of
// their rank, ids in no order. Made once a run.
const test::HostGraph& graph_of(const Shape& shape);

// Users with at least one training item: all of them.
const std::vector<int32_t>& active_users_of(const Shape& shape);

// What the shape's batches are drawn from.
SamplerTables tables_of(const Shape& shape, SamplingRule rule);

// A batch with room for the shape's draws.
test::HostBatch empty_batch(const Shape& shape, int64_t negatives);
// The first batch of epoch 0 under rule user.
test::HostBatch drawn_batch(const Shape& shape, int64_t negatives);

// Owns a contiguous matrix whose rows start on cache lines when cols is a multiple of 16.
class HostMatrix {
 public:
  HostMatrix(int64_t rows, int64_t cols);  // of zeros
  // Uniform in [-1, 1), a function of the seed.
  static HostMatrix random(int64_t rows, int64_t cols, uint64_t seed);
  // The same, each row then scaled to length 1.
  static HostMatrix random_unit_rows(int64_t rows, int64_t cols, uint64_t seed);

  MatrixView<float> view() { return {data_.get(), rows_, cols_}; }
  VectorView<float> flat() { return {data_.get(), rows_ * cols_}; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  int64_t rows_, cols_;
  std::unique_ptr<float[], Free> data_;
};

}  // namespace rec::bench
