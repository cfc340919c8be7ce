// Latent semantic analysis (Deerwester et al. 1990): an item's vector is its weighted terms' row
// (tf_idf.h) in the space of the largest singular vectors of all items' rows. It knows which terms
// go together in these titles, and nothing of what they mean: a start where there is no language
// model.
//
// A basis is what spans the space: the features, their idf and the projection. Applied to the texts
// it was made of it gives the same bytes as when it was made; applied to other texts it gives
// vectors in the same space, by which datasets can share a model.
//
// Memory, of F features (at most 262,144) and I items with T terms each: while a basis is made
// 8 (F + I) (width + 10) bytes, 4 F width for the projection, 24 I T, and what each thread takes
// (randomised_svd.h); while it is written 16 F width. For 100,000 titles of 200 terms and width 384,
// where every feature occurs, that is about 2 GB, and 13 MB a thread.
//
// Test: tests/host/test_lsa.cpp
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host/embed/tf_idf.h"
#include "host/formats/safetensors.h"
#include "kernels/common/views.h"

namespace rec {

struct LsaBasis {
  Vocabulary vocabulary;
  std::vector<float> projection;  // [features, width]
  int64_t width = 0;

  // Of everything above, 16 hexadecimal digits: what item_language.json calls "basis".
  std::string hash() const;
};

// done() is called kSvdSteps times. Refuses a width beyond the rank of the items' rows, as far as
// their float32 values tell it, and names the widest.
LsaBasis make_lsa_basis(const FeatureCounts& items, int64_t width, uint64_t seed,
                        const std::function<void()>& done);

struct LsaVectors {
  std::vector<float> value;  // [items, width], rows of unit length
  // Items whose rows are 0: those of whose terms the basis knows none, and those whose terms it
  // knows but which have no part in its directions.
  std::vector<int64_t> unknown, outside;
};

LsaVectors vectors_of(const LsaBasis& basis, const FeatureCounts& items);

// Gives each of these rows a direction of its own, drawn by Philox keyed by (seed, item): nearly at
// right angles to every other. The mean of all vectors would be nearer to items than they are
// to one another, and come up for everyone.
void draw_directions(const std::vector<int64_t>& items, uint64_t seed, MatrixView<float> vectors);

// safetensors: "feature" and "idf" [features], "projection" [features, width], and in the metadata
// how features are made. Refuses another file, a damaged one, and features made in another way.
LsaBasis read_lsa_basis(const std::string& path);
SafetensorsFile safetensors_of(const LsaBasis& basis);

}  // namespace rec
