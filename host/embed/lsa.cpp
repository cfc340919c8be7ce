#include "host/embed/lsa.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "engine/draw_kinds.h"
#include "engine/normal_draw.h"
#include "host/embed/randomised_svd.h"
#include "host/formats/content_hash.h"
#include "host/formats/file_error.h"
#include "host/formats/safetensors.h"
#include "kernels/common/simd.h"

namespace rec {
namespace {

constexpr const char* kSchemeKey = "lsa_features";
constexpr const char *kFeature = "feature", *kIdf = "idf", *kProjection = "projection";
constexpr double kFloatRounding = 0x1p-24;  // of a float32, relative

// How many directions the rows span. Each value is rounded to a float32, so a singular value up to
// that much of the matrix's norm may be rounding alone (Weyl's inequality).
int64_t rank_of(const std::vector<double>& singular, const SparseMatrix& a) {
  double square = 0;
  for (const float value : a.value) square += double(value) * double(value);
  const double least = kFloatRounding * std::sqrt(square);
  return std::count_if(singular.begin(), singular.end(),
                       [least](double value) { return value > least; });
}

// sum [width] += weight row [width]
REC_SIMD_CLONES void add_scaled(double weight, const float* row, int64_t width, double* sum) {
  for (int64_t c = 0; c < width; ++c) sum[c] += weight * double(row[c]);
}

// Writes sum [width] with unit length; false, and zeros, where that has no direction. The
// projection's rounding moves a row of unit length by at most kFloatRounding sqrt(width): what is
// not a hundred times longer is too uncertain to call a direction.
bool write_direction(const std::vector<double>& sum, float* out) {
  double square = 0;
  for (const double value : sum) square += value * value;
  const double length = std::sqrt(square);
  const bool has_direction = length > 100 * kFloatRounding * std::sqrt(double(sum.size()));
  std::transform(sum.begin(), sum.end(), out,
                 [&](double value) { return has_direction ? float(value / length) : 0.0f; });
  return has_direction;
}

const Tensor& tensor_of(const SafetensorsFile& file, const char* name, size_t dimensions,
                        const std::string& path) {
  const Tensor* tensor = file.find(name);
  if (tensor == nullptr || tensor->shape.size() != dimensions)
    throw FileError(path, fmt::format("is a damaged basis: '{}' is missing or has another shape; "
                                      "make it again with rec_engine embed",
                                      name));
  return *tensor;
}

void require_usable(const LsaBasis& basis, const std::vector<float>& feature,
                    const std::string& path) {
  const auto refuse = [&path](const std::string& what) {
    throw FileError(path, "is a damaged basis: " + what + "; make it again with rec_engine embed");
  };
  const auto is_finite = [](float value) { return std::isfinite(value); };
  const Vocabulary& vocabulary = basis.vocabulary;
  const size_t features = feature.size();
  if (features == 0 || basis.width == 0) refuse("it is empty");
  if (vocabulary.idf.size() != features ||
      basis.projection.size() != features * size_t(basis.width))
    refuse("its parts are not of one size");
  for (size_t f = 0; f < features; ++f) {
    const bool is_id = feature[f] >= 0 && feature[f] < float(kHashedFeatures) &&
                       feature[f] == std::floor(feature[f]);
    if (!is_id || (f > 0 && feature[f] <= feature[f - 1]))
      refuse(fmt::format("its features must ascend below {}", kHashedFeatures));
  }
  if (!std::all_of(vocabulary.idf.begin(), vocabulary.idf.end(),
                   [&](float idf) { return is_finite(idf) && idf > 0; }))
    refuse("an idf is not above 0");
  if (!std::all_of(basis.projection.begin(), basis.projection.end(), is_finite))
    refuse("its projection holds NaN or an infinite value");
}

}  // namespace

std::string LsaBasis::hash() const {
  ContentHash hash;
  const auto add = [&hash](const auto& values) {
    hash.add({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
  };
  hash.add(kFeatureScheme);
  add(vocabulary.feature);
  add(vocabulary.idf);
  add(projection);
  return hash.text();
}

LsaBasis make_lsa_basis(const FeatureCounts& items, int64_t width, uint64_t seed,
                        const std::function<void()>& done) {
  LsaBasis basis;
  basis.vocabulary = vocabulary_of(items);
  basis.width = width;
  const SparseMatrix weights = weigh(items, basis.vocabulary);
  const int64_t most = std::min({width, weights.rows, weights.cols});
  if (most < 1) throw std::invalid_argument("no item has a text to make a basis of");
  TruncatedSvd svd = randomised_svd(weights, most, seed, done);
  const int64_t rank = rank_of(svd.singular, weights);
  if (rank < width)
    throw std::invalid_argument(
        fmt::format("--width {}: the items' texts span only {} directions; give --width {} or less",
                    width, rank, rank));
  basis.projection = std::move(svd.right);
  return basis;
}

LsaVectors vectors_of(const LsaBasis& basis, const FeatureCounts& items) {
  const SparseMatrix weights = weigh(items, basis.vocabulary);
  LsaVectors vectors;
  vectors.value.resize(size_t(weights.rows * basis.width));
  std::vector<uint8_t> is_placed(size_t(weights.rows), 0);
#pragma omp parallel
  {
    std::vector<double> sum(size_t(basis.width));
#pragma omp for schedule(dynamic, 64)
    for (int64_t i = 0; i < weights.rows; ++i) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int64_t e = weights.row_start[size_t(i)]; e < weights.row_start[size_t(i) + 1]; ++e)
        add_scaled(double(weights.value[size_t(e)]),
                   basis.projection.data() + weights.col[size_t(e)] * basis.width, basis.width,
                   sum.data());
      is_placed[size_t(i)] = write_direction(sum, vectors.value.data() + i * basis.width);
    }
  }
  for (int64_t i = 0; i < weights.rows; ++i) {
    if (is_placed[size_t(i)] != 0) continue;
    const bool knows_none = weights.row_start[size_t(i)] == weights.row_start[size_t(i) + 1];
    (knows_none ? vectors.unknown : vectors.outside).push_back(i);
  }
  return vectors;
}

void draw_directions(const std::vector<int64_t>& items, uint64_t seed, MatrixView<float> vectors) {
  std::vector<double> drawn(size_t(vectors.cols));
  for (const int64_t i : items) {
    PhiloxWords words{};
    for (int64_t c = 0; c < vectors.cols; ++c) {
      if (c % 4 == 0)
        words = philox(uint32_t(i), uint32_t(c / 4), 0, uint32_t(DrawKind::item_without_text),
                       uint32_t(seed), uint32_t(seed >> 32));
      drawn[size_t(c)] = normal_draw(words, c % 4);
    }
    write_direction(drawn, vectors.row(i));
  }
}

LsaBasis read_lsa_basis(const std::string& path) {
  SafetensorsFile file = read_safetensors(path);
  const auto scheme = file.metadata.find(kSchemeKey);
  if (scheme == file.metadata.end())
    throw FileError(path,
                    "is not an LSA basis; name an item_language_basis.safetensors that rec_engine "
                    "embed wrote");
  if (scheme->second != kFeatureScheme)
    throw FileError(path, fmt::format("has features made in another way ({}) than this program's "
                                      "({}); make it again with rec_engine embed",
                                      scheme->second, kFeatureScheme));
  const Tensor &feature = tensor_of(file, kFeature, 1, path), &idf = tensor_of(file, kIdf, 1, path),
               &projection = tensor_of(file, kProjection, 2, path);
  LsaBasis basis;
  basis.vocabulary.idf = idf.values;
  basis.projection = projection.values;
  basis.width = projection.shape[1];
  require_usable(basis, feature.values, path);
  basis.vocabulary.feature.assign(feature.values.begin(), feature.values.end());
  return basis;
}

SafetensorsFile safetensors_of(const LsaBasis& basis) {
  const Vocabulary& vocabulary = basis.vocabulary;
  const auto features = int64_t(vocabulary.feature.size());
  SafetensorsFile file;
  file.metadata[kSchemeKey] = kFeatureScheme;
  file.tensors = {{kFeature, {features}, {vocabulary.feature.begin(), vocabulary.feature.end()}},
                  {kIdf, {features}, vocabulary.idf},
                  {kProjection, {features, basis.width}, basis.projection}};
  return file;
}

}  // namespace rec
