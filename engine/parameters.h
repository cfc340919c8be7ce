// A model's parameters: four slabs of one layout (weight, gradient, Adam's two moments) and the
// table of names and offsets that says where each tensor lies. Where the backend stores bfloat16,
// also the weights rounded to it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/buffer.h"

namespace rec {

// How initial values are drawn: uniform in +-spread, or normal with deviation spread.
enum class Distribution { uniform, normal };

struct ParameterInfo {
  std::string name;  // "w1", "b1", ...
  int64_t rows = 0;
  int64_t cols = 0;    // 0 for a vector of `rows` values
  int64_t offset = 0;  // into each slab, in values
  double spread = 0;
  Distribution initial = Distribution::uniform;

  int64_t size() const { return cols == 0 ? rows : rows * cols; }
};

class Parameters {
 public:
  // table: names, shapes and initial values; offsets are filled in here.
  Parameters(Backend& backend, std::vector<ParameterInfo> table);

  const std::vector<ParameterInfo>& table() const { return table_; }
  int64_t size() const { return weight_.size(); }
  ParameterSlabs slabs() const;

  // values (host): one tensor's, or all of them in the slab's order. Weights are given only here,
  // so that the rounded copy, where the backend keeps one, is always of them.
  void set(Backend& backend, const ParameterInfo& tensor, const std::vector<float>& values);
  void set(Backend& backend, const std::vector<float>& values);
  // From Philox keyed by the seed: the same values on every backend.
  void initialise(Backend& backend, uint64_t seed);

 private:
  void upload(Backend& backend, int64_t offset, const std::vector<float>& values);

  std::vector<ParameterInfo> table_;
  Array<float> weight_, grad_, first_moment_, second_moment_;
  Array<Bf16> rounded_;
};

}  // namespace rec
