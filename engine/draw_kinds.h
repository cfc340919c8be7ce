// What a draw is for: the last word of Philox's counter, so that one seed serves every kind. Training
// has its epoch there (kernels/sampler/sampler.h), which stays below these; the random baselines
// have 0.
#pragma once
#include <cstdint>

namespace rec {

enum class DrawKind : uint32_t {
  initialisation = 0xFFFFFFFFu,
  candidates = 0xFFFFFFFEu,
  bootstrap = 0xFFFFFFFDu,
  intention_target = 0xFFFFFFFCu,
  intention_noise = 0xFFFFFFFBu,
  cold_split = 0xFFFFFFFAu,
  split = 0xFFFFFFF9u,
  svd_sketch = 0xFFFFFFF8u,
  item_without_text = 0xFFFFFFF7u,
};

}  // namespace rec
