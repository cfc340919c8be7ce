// The operations of a training step and of an evaluation on the GPU, each with the bytes that it
// must ask for: the ledger.
//
// Products of cuBLASLt are no kernels of ours and are not counted: neither here nor in the ledger.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bench/place.h"
#include "bench/shapes.h"

namespace rec::bench {

// What the ledger says of one operation. Values are float, ids 32 bits.
struct Ledger {
  double gathered = 0;    // bytes of rows fetched by id: out of L2, where they fit
  double streamed = 0;    // bytes read or written in order, once
  const char* what = "";  // both in words

  double bytes() const { return gathered + streamed; }
};

struct Stage {
  const char* name;
  Ledger (*ledger)(const Shape& shape);
  // Puts the operation into bench_stream() and waits for it. Everything it needs is made before.
  void (*run)(const Shape& shape, Place& place);
  // Why it asks for more than the ledger, or touches more sectors than its bytes need, where it
  // does by far (kMostAsked, kMostSectors); else empty.
  const char* why_bytes = "";
  const char* why_sectors = "";
};

// Above these a stage must say why.
inline constexpr double kMostAsked = 1.3;     // bytes asked for, over the ledger's
inline constexpr double kMostSectors = 1.25;  // sectors touched, over those that the bytes need

const std::vector<Stage>& stages();

// The Games dataset's sizes (shapes.h) with users, items, edges and batch divided by `scale`: as
// many edges a node and draws an item as the whole has. scale: 1 to kMostScale, which leaves 56
// items; else throws std::invalid_argument.
inline constexpr int64_t kMostScale = 256;
Shape games_sample(int64_t scale);

}  // namespace rec::bench
