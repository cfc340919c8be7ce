#include "engine/parameters.h"

#include <algorithm>

#include "engine/draw_kinds.h"
#include "engine/normal_draw.h"
#include "kernels/sampler/philox.h"

namespace rec {
namespace {

std::vector<ParameterInfo> with_offsets(std::vector<ParameterInfo> table) {
  int64_t offset = 0;
  for (ParameterInfo& p : table) {
    p.offset = offset;
    offset += p.size();
  }
  return table;
}

int64_t total_size(const std::vector<ParameterInfo>& table) {
  return table.empty() ? 0 : table.back().offset + table.back().size();
}

// A value of the distribution with spread 1, the index-th of four words' four.
double standard(Distribution distribution, const PhiloxWords& words, int64_t index) {
  if (distribution == Distribution::uniform) return 2.0 * in_unit_interval(words.word[index]) - 1.0;
  return normal_draw(words, index);
}

}  // namespace

Parameters::Parameters(Backend& backend, std::vector<ParameterInfo> table)
    : table_(with_offsets(std::move(table))),
      weight_(backend, total_size(table_)),
      grad_(backend, total_size(table_)),
      first_moment_(backend, total_size(table_)),
      second_moment_(backend, total_size(table_)) {
  if (backend.stored_element() == Element::bfloat16) rounded_ = Array<Bf16>(backend, size());
}

ParameterSlabs Parameters::slabs() const {
  return {weight_.view(), rounded_.view(), grad_.view(), first_moment_.view(),
          second_moment_.view()};
}

void Parameters::set(Backend& backend, const ParameterInfo& tensor,
                     const std::vector<float>& values) {
  require(int64_t(values.size()) == tensor.size(),
          "parameters: one value for each of the tensor's");
  upload(backend, tensor.offset, values);
}

void Parameters::set(Backend& backend, const std::vector<float>& values) {
  require(int64_t(values.size()) == size(), "parameters: one value for each parameter");
  upload(backend, 0, values);
}

void Parameters::upload(Backend& backend, int64_t offset, const std::vector<float>& values) {
  if (values.empty()) return;
  backend.upload(weight_.data() + offset, values.data(), sizeof(float) * values.size());
  if (rounded_.size() == 0) return;
  std::vector<Bf16> rounded(values.size());
  std::transform(values.begin(), values.end(), rounded.begin(), to_bf16);
  backend.upload(rounded_.data() + offset, rounded.data(), sizeof(Bf16) * rounded.size());
}

void Parameters::initialise(Backend& backend, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(size()));
  for (size_t p = 0; p < table_.size(); ++p) {
    PhiloxWords words{};
    for (int64_t i = 0; i < table_[p].size(); ++i) {
      if (i % 4 == 0) {
        const uint64_t block = static_cast<uint64_t>(i / 4);
        words = philox(uint32_t(block), uint32_t(block >> 32), uint32_t(p),
                       uint32_t(DrawKind::initialisation), uint32_t(seed), uint32_t(seed >> 32));
      }
      values[static_cast<size_t>(table_[p].offset + i)] =
          static_cast<float>(standard(table_[p].initial, words, i % 4) * table_[p].spread);
    }
  }
  set(backend, values);
}

}  // namespace rec
