// A training of a few steps on the small dataset, without a word.
#pragma once
#include "host/train/trainer.h"

namespace rec::test {

inline Config quick(int64_t epochs = 2) {
  Config config;
  config.hidden = 4;
  config.width = 3;
  config.batch = 4;
  config.negatives = 2;
  config.epochs = epochs;
  config.eval_every = 1;
  config.topk = {2};
  config.monitor = "recall@2";
  config.threads = 1;
  return config;
}

inline TrainRequest quietly(bool resume = false, bool overwrite = false) {
  TrainRequest request;
  request.device = "cpu";
  request.quiet = true;
  request.resume = resume;
  request.overwrite = overwrite;
  return request;
}

}  // namespace rec::test
