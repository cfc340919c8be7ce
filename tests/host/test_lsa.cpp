// Vectors without a language model: terms, weights, singular vectors, and a basis that goes from
// one dataset to another.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <tuple>

#include "host/embed/lsa.h"
#include "host/embed/randomised_svd.h"
#include "host/formats/safetensors.h"
#include "kernels/common/threads.h"
#include "kernels/sampler/philox.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

using Terms = std::vector<std::string>;
using Dense = std::vector<std::vector<double>>;  // rows

constexpr double kFloatRounding = 0x1p-24, kEpsilon = std::numeric_limits<double>::epsilon();
const std::function<void()> kNothing = [] {};

TEST_CASE("lsa: the terms of a title") {
  CHECK(terms_of("Red-hot!") == Terms{"red", "# re", "#red", "#ed ", "# red", "#red ", "# red ",  //
                                      "hot", "# ho", "#hot", "#ot ", "# hot", "#hot ", "# hot ",
                                      "red hot"});
  CHECK(terms_of("a") == Terms{"a", "# a "});
  CHECK(terms_of("Tea") == terms_of("  tea, "));
  CHECK(terms_of("").empty());
  CHECK(terms_of("- !? \xE2\x80\x94").empty());  // a dash beyond ASCII
}

TEST_CASE("lsa: capitals of Latin, Greek and Cyrillic become small, others stay") {
  const auto first_word = [](std::string_view text) { return terms_of(text).at(0); };
  CHECK(first_word("ÀÖØÞŁŻŐŒŸĀĲĶŊŶŽ") == "àöøþłżőœÿāĳķŋŷž");
  CHECK(first_word("ΆΈΊΌΎΏΑΡΣΫ") == "άέίόύώαρσϋ");
  CHECK(first_word("ЀЏАЯѠҐӁԮ") == "ѐџаяѡґӂԯ");
  CHECK(first_word("àöøþſıĸŉαωяѐџҏ") == "àöøþſıĸŉαωяѐџҏ");
  CHECK(first_word("漢字カナ") == "漢字カナ");
  CHECK(first_word("𝒜x") == "𝒜x");
}

TEST_CASE("lsa: runs are of characters, not of bytes") {
  CHECK(terms_of("ЖЁ") == Terms{"жё", "# жё", "#жё ", "# жё "});
}

TEST_CASE("lsa: features are counted, each once and ascending") {
  const std::vector<FeatureCount> once = count_features(std::string_view("tea"));
  const std::vector<FeatureCount> twice = count_features(std::string_view("tea Tea"));
  CHECK(once.size() == terms_of("tea").size());
  CHECK(twice.size() == once.size() + 1);  // "tea tea"
  CHECK(std::is_sorted(
      twice.begin(), twice.end(),
      [](const FeatureCount& a, const FeatureCount& b) { return a.feature <= b.feature; }));
  CHECK(std::count_if(twice.begin(), twice.end(), [](const FeatureCount& each) {
          return each.count == 2;
        }) == int64_t(once.size()));
  for (const FeatureCount& each : twice)
    CHECK((each.feature >= 0 && each.feature < kHashedFeatures));
}

// 3 items; feature 5 in two of them, 9 in one. idf(5) = 1 + ln(4 / 3), idf(9) = 1 + ln(4 / 2).
TEST_CASE("lsa: weights worked by hand") {
  const FeatureCounts items = {{{5, 1}, {9, 2}}, {}, {{5, 3}}};
  const Vocabulary vocabulary = vocabulary_of(items);
  CHECK(vocabulary.feature == std::vector<int32_t>{5, 9});
  CHECK(std::abs(double(vocabulary.idf[0]) - 1.2876820725) < 2 * kFloatRounding * 1.3);
  CHECK(std::abs(double(vocabulary.idf[1]) - 1.6931471806) < 2 * kFloatRounding * 1.7);
  const SparseMatrix weights = weigh(items, vocabulary);
  CHECK(weights.row_start == std::vector<int64_t>{0, 2, 2, 3});
  CHECK(weights.col == std::vector<int32_t>{0, 1, 0});
  // 1.28768 and (1 + ln 2) 1.69315 = 2.86675, whose length is 3.14267
  CHECK(std::abs(double(weights.value[0]) - 0.4097416) < 5e-8 + 4 * kFloatRounding);
  CHECK(std::abs(double(weights.value[1]) - 0.9122015) < 5e-8 + 4 * kFloatRounding);
  CHECK(weights.value[2] == 1.0f);
  // By another's vocabulary what it does not know is passed over.
  const SparseMatrix others = weigh({{{2, 7}, {9, 1}}, {{2, 1}}}, vocabulary);
  CHECK(others.row_start == std::vector<int64_t>{0, 1, 1});
  CHECK(others.col == std::vector<int32_t>{1});
  CHECK(others.value == std::vector<float>{1.0f});
}

uint32_t word_of(uint32_t row, uint32_t col, uint32_t kind) {
  return philox(row, col, kind, 0, 7, 0).word[0];
}

SparseMatrix sparse(const Dense& dense, int64_t cols) {
  SparseMatrix a;
  a.cols = cols;
  for (const std::vector<double>& row : dense) {
    for (int64_t c = 0; c < cols; ++c)
      if (row[size_t(c)] != 0) {
        a.col.push_back(int32_t(c));
        a.value.push_back(float(row[size_t(c)]));
      }
    a.row_start.push_back(a.entries());
    ++a.rows;
  }
  return a;
}

double norm_of(const Dense& a) {
  double square = 0;
  for (const std::vector<double>& row : a)
    for (const double value : row) square += value * value;
  return std::sqrt(square);
}

// All singular values, by rotating columns until they are at right angles (one-sided Jacobi). The
// values are exact but for rounding.
std::vector<double> plain_singular_values(Dense a) {
  const size_t cols = a[0].size();
  const double nothing = std::pow(double(cols) * kEpsilon * norm_of(a), 2);  // a column of rounding
  const auto dot = [&](size_t p, size_t q) {
    double sum = 0;
    for (const std::vector<double>& row : a) sum += row[p] * row[q];
    return sum;
  };
  for (bool rotated = true; rotated;) {
    rotated = false;
    for (size_t p = 0; p < cols; ++p)
      for (size_t q = p + 1; q < cols; ++q) {
        const double pp = dot(p, p), qq = dot(q, q), pq = dot(p, q);
        if (std::abs(pq) <= 1e-15 * std::sqrt(pp * qq) || std::min(pp, qq) <= nothing) continue;
        rotated = true;
        const double zeta = (qq - pp) / (2 * pq);
        const double tangent =
            std::copysign(1.0, zeta) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const double cosine = 1 / std::sqrt(1 + tangent * tangent), sine = cosine * tangent;
        for (std::vector<double>& row : a) {
          const double before = row[p];
          row[p] = cosine * before - sine * row[q];
          row[q] = sine * before + cosine * row[q];
        }
      }
  }
  std::vector<double> singular;
  for (size_t c = 0; c < cols; ++c) singular.push_back(std::sqrt(dot(c, c)));
  std::sort(singular.rbegin(), singular.rend());
  return singular;
}

// A - A V V^T
Dense residual_of(const Dense& a, const std::vector<float>& v, size_t width) {
  Dense residual = a;
  for (std::vector<double>& row : residual) {
    std::vector<double> along(width, 0);
    for (size_t c = 0; c < row.size(); ++c)
      for (size_t k = 0; k < width; ++k) along[k] += row[c] * double(v[c * width + k]);
    for (size_t c = 0; c < row.size(); ++c)
      for (size_t k = 0; k < width; ++k) row[c] -= along[k] * double(v[c * width + k]);
  }
  return residual;
}

// What rounding V to float32 may leave of A - A V V^T: each value moves by at most kFloatRounding of
// itself, V by kFloatRounding sqrt(width) in all, and V appears twice.
double rounding_of(const Dense& a, size_t width) {
  return 2.1 * kFloatRounding * std::sqrt(double(width)) * norm_of(a);
}

// Whole numbers, so that the rank is 3 exactly; and enough rows for several blocks.
TEST_CASE("lsa: a matrix of low rank is decomposed to rounding") {
  const auto [rows, cols] = GENERATE(std::pair<size_t, size_t>{40, 25}, std::pair{5000, 7},
                                     std::pair{20, 4500}, std::pair{3, 9}, std::pair{9, 3});
  CAPTURE(rows, cols);
  constexpr size_t kRank = 3;
  const auto digit = [](size_t row, size_t col, uint32_t kind) {
    return double(word_of(uint32_t(row), uint32_t(col), kind) % 7) - 3;
  };
  Dense a(rows, std::vector<double>(cols, 0));
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < cols; ++c)
      for (size_t k = 0; k < kRank; ++k) a[r][c] += digit(r, k, 0) * digit(k, c, 1);
  const TruncatedSvd svd = randomised_svd(sparse(a, int64_t(cols)), kRank, 101, kNothing);
  REQUIRE(svd.right.size() == cols * kRank);
  CHECK(norm_of(residual_of(a, svd.right, kRank)) <= rounding_of(a, kRank));
  // Products and factorisations in double precision move singular values by a few roundings a sum,
  // of at most rows + cols terms.
  const double bound = 100 * double(rows + cols) * kEpsilon * norm_of(a);
  if (std::max(rows, cols) <= 40) {  // the plain loops take their time
    const std::vector<double> want = plain_singular_values(a);
    for (size_t k = 0; k < kRank; ++k) CHECK(std::abs(svd.singular[k] - want[k]) <= bound);
  }
  for (size_t k = kRank; k < svd.singular.size(); ++k) CHECK(svd.singular[k] <= bound);
}

// Corollary 10.9 of Halko, Martinsson and Tropp (2011) for (A A^T)^q A, whose singular values are
// the powers 2 q + 1 of A's, and the root of that (their theorem 9.2): but for one seed in ten
// million, with t = u = 6, and 10 directions beyond those wanted.
double halko_bound(const std::vector<double>& singular, size_t wanted) {
  const double power = 2 * kSvdPowerIterations + 1, t = 6, u = 6, over = 10, k = double(wanted);
  double tail = 0;
  for (size_t j = wanted; j < singular.size(); ++j) tail += std::pow(singular[j], 2 * power);
  const double next = std::pow(singular[wanted], power), e = std::exp(1.0);
  const double spread = t * e * std::sqrt(k + over) / (over + 1);
  return std::pow(
      (1 + t * std::sqrt(12 * k / over)) * next + spread * std::sqrt(tail) + u * spread * next,
      1 / power);
}

TEST_CASE("lsa: singular values and vectors against all of them, within Halko's bound") {
  constexpr size_t kRows = 150, kCols = 120, kWanted = 8;
  const auto unit = [](size_t r, size_t c, uint32_t kind) {
    return (word_of(uint32_t(r), uint32_t(c), kind) + 0.5) * 0x1p-32;
  };
  Dense a(kRows, std::vector<double>(kCols, 0));
  for (size_t r = 0; r < kRows; ++r)
    for (size_t c = 0; c < kCols; ++c)
      if (unit(r, c, 2) < 0.2)
        a[r][c] = double(float((unit(r, c, 3) - 0.3) / std::sqrt(1 + double(c))));
  const std::vector<double> all = plain_singular_values(a);
  const double bound = halko_bound(all, kWanted);
  const uint64_t seed = GENERATE(uint64_t{0}, uint64_t{101}, uint64_t{1} << 40);
  const TruncatedSvd svd = randomised_svd(sparse(a, kCols), kWanted, seed, kNothing);
  REQUIRE(svd.singular.size() == kWanted + 10);
  for (size_t k = 0; k < svd.singular.size(); ++k) {
    CAPTURE(k);
    CHECK(svd.singular[k] <= all[k] * (1 + 1e-12));
    CHECK(svd.singular[k] * svd.singular[k] + bound * bound >= all[k] * all[k]);
  }
  const Dense residual = residual_of(a, svd.right, kWanted);
  CHECK(plain_singular_values(residual)[0] <= all[kWanted] + bound + rounding_of(a, kWanted));
}

TEST_CASE("lsa: done is called for each step, and a width that is no width is refused") {
  const SparseMatrix a = sparse({{1, 0}, {0, 2}}, 2);
  int steps = 0;
  randomised_svd(a, 1, 101, [&] { ++steps; });
  CHECK(steps == kSvdSteps);
  for (const int64_t wanted : {int64_t{0}, int64_t{3}})
    CHECK(refusal([&] { randomised_svd(a, wanted, 101, kNothing); }).find("smaller side") !=
          std::string::npos);
}

// Titles of two or three of a few words, so that many share some.
std::vector<std::string> titles(size_t count) {
  const std::vector<std::string> words = {"red",   "blue", "kettle", "kettles", "tea",  "pot",
                                          "green", "cup",  "cups",   "saucer",  "tray", "spoon"};
  std::vector<std::string> all;
  for (size_t i = 0; i < count; ++i) {
    std::string title = words[word_of(uint32_t(i), 0, 4) % words.size()];
    for (uint32_t w = 1; w < 2 + i % 2; ++w)
      title += " " + words[word_of(uint32_t(i), w, 4) % words.size()];
    all.push_back(title);
  }
  return all;
}

bool equal(const LsaBasis& a, const LsaBasis& b) {
  return a.width == b.width && a.projection == b.projection &&
         a.vocabulary.idf == b.vocabulary.idf && a.vocabulary.feature == b.vocabulary.feature &&
         a.hash() == b.hash();
}

TEST_CASE("lsa: rows have unit length, and titles that share words are near") {
  const FeatureCounts items =
      count_features({"red kettle", "blue kettle", "tea pot", "tea pots", "six cups", "!"});
  const LsaBasis basis = make_lsa_basis(items, 3, 101, kNothing);
  const LsaVectors vectors = vectors_of(basis, items);
  CHECK(vectors.unknown == std::vector<int64_t>{5});
  CHECK(vectors.outside.empty());
  const auto cosine = [&](size_t a, size_t b) {
    double sum = 0;
    for (size_t c = 0; c < 3; ++c)
      sum += double(vectors.value[3 * a + c]) * double(vectors.value[3 * b + c]);
    return sum;
  };
  for (size_t i = 0; i < 5; ++i) CHECK(std::abs(cosine(i, i) - 1) < 8 * kFloatRounding);
  CHECK(cosine(5, 5) == 0);
  CHECK(cosine(0, 1) > cosine(0, 2));
  CHECK(cosine(2, 3) > cosine(2, 4));
}

// 100 roundings of a float32 are 6e-6 of the row's length.
TEST_CASE("lsa: what is left of a row when it is but rounding is no direction") {
  const LsaBasis basis = {{{1, 2, 3}, {1, 1, 1}}, {1, 1e-6f, 1e-5f}, 1};
  const LsaVectors vectors = vectors_of(basis, {{{1, 1}}, {{2, 1}}, {{3, 1}}, {{1, 1}, {2, 1}}});
  CHECK(vectors.value == std::vector<float>{1, 0, 1, 1});
  CHECK(vectors.outside == std::vector<int64_t>{1});
  CHECK(vectors.unknown.empty());
}

TEST_CASE("lsa: a basis read back gives the same vectors, whatever else is embedded with it") {
  const TemporaryFolder folder;
  const FeatureCounts items = count_features(titles(60));
  const LsaBasis made = make_lsa_basis(items, 6, 101, kNothing);
  write_safetensors(folder / "basis", safetensors_of(made));
  const LsaBasis read = read_lsa_basis(folder / "basis");
  CHECK(equal(made, read));
  const LsaVectors all = vectors_of(made, items);
  CHECK(vectors_of(read, items).value == all.value);
  const LsaVectors one = vectors_of(read, {items[7], count_features(std::string_view("zzz"))});
  CHECK(std::equal(one.value.begin(), one.value.begin() + 6, all.value.begin() + 7 * 6));
  CHECK(one.unknown == std::vector<int64_t>{1});
  write_safetensors(folder / "again", safetensors_of(read));
  CHECK(get(folder / "again") == get(folder / "basis"));
}

TEST_CASE("lsa: the hash tells bases apart") {
  const FeatureCounts items = count_features(titles(60));
  const LsaBasis basis = make_lsa_basis(items, 6, 101, kNothing);
  CHECK(make_lsa_basis(items, 6, 101, kNothing).hash() == basis.hash());
  CHECK(make_lsa_basis(items, 6, 102, kNothing).hash() != basis.hash());
  CHECK(make_lsa_basis(items, 5, 101, kNothing).hash() != basis.hash());
  LsaBasis other = basis;
  other.vocabulary.idf[0] += 1;
  CHECK(other.hash() != basis.hash());
}

TEST_CASE("lsa: the same bytes for any number of threads", "[threads]") {
  const std::vector<std::string> texts = titles(5000);  // several blocks of a factorisation
  const auto made = [&](int threads) {
    const cpu::ThreadsInUse in_use(threads);
    const FeatureCounts items = count_features(texts);
    LsaBasis basis = make_lsa_basis(items, 5, 101, kNothing);
    // In double precision, where another order of a sum shows.
    const SparseMatrix weights = weigh(items, basis.vocabulary);
    return std::tuple(basis.hash(), vectors_of(basis, items).value,
                      randomised_svd(weights, 5, 101, kNothing).singular);
  };
  const auto alone = made(1);
  for (const int threads : {2, 3}) CHECK(made(threads) == alone);
}

TEST_CASE("lsa: a width beyond the rank is refused, and the widest named") {
  const FeatureCounts items =
      count_features({"red kettle", "tea pot", "red kettle", "six cups", "!"});
  const auto refused = [&](int64_t width) {
    return refusal([&] { make_lsa_basis(items, width, 101, kNothing); });
  };
  for (const int64_t width : {4, 5, 384})
    CHECK(refused(width).find("span only 3 directions; give --width 3 or less") !=
          std::string::npos);
  CHECK(refused(3) == "");
  CHECK(refusal([] {
          make_lsa_basis(count_features(std::vector<std::string>{"!", ""}), 1, 101, kNothing);
        }) == "no item has a text to make a basis of");
}

TEST_CASE("lsa: directions drawn at random are of unit length, one an item, the same each time") {
  constexpr int64_t kWidth = 30;
  const auto drawn = [&](const std::vector<int64_t>& items, uint64_t seed) {
    std::vector<float> values(3 * kWidth, 0.5f);
    draw_directions(items, seed, {values.data(), 3, kWidth});
    return values;
  };
  const std::vector<float> values = drawn({0, 2}, 101);
  const auto row = [](const std::vector<float>& of, int64_t r) {
    return std::vector<float>(of.begin() + r * kWidth, of.begin() + (r + 1) * kWidth);
  };
  for (const int64_t r : {0, 2}) {
    double square = 0;
    for (const float value : row(values, r)) square += double(value) * double(value);
    CHECK(std::abs(square - 1) < 4 * kWidth * kFloatRounding);
  }
  CHECK(row(values, 1) == std::vector<float>(kWidth, 0.5f));
  CHECK(row(values, 0) != row(values, 2));
  CHECK(row(drawn({2}, 101), 2) == row(values, 2));
  CHECK(row(drawn({2}, 102), 2) != row(values, 2));
}

TEST_CASE("lsa: files that are no basis, or a damaged one, are refused") {
  const TemporaryFolder folder;
  const FeatureCounts items = count_features(titles(30));
  write_safetensors(folder / "good", safetensors_of(make_lsa_basis(items, 4, 101, kNothing)));
  const SafetensorsFile good = read_safetensors(folder / "good");
  const auto refused = [&](auto hurt) {
    SafetensorsFile file = good;
    hurt(file);
    write_safetensors(folder / "hurt", file);
    return refusal([&] { read_lsa_basis(folder / "hurt"); });
  };
  const auto says = [](const std::string& sentence, const char* words) {
    CAPTURE(sentence);
    CHECK(sentence.find("hurt: ") != std::string::npos);
    CHECK(sentence.find(words) != std::string::npos);
  };
  CHECK(refused([](SafetensorsFile&) {}) == "");
  says(refused([](SafetensorsFile& file) { file.metadata.clear(); }), "is not an LSA basis");
  says(refused([](SafetensorsFile& file) { file.metadata["lsa_features"] = "words"; }),
       "made in another way (words)");
  says(refused([](SafetensorsFile& file) { file.tensors.pop_back(); }), "'projection' is missing");
  says(refused([](SafetensorsFile& file) {
         file.tensors[1].shape = {1, int64_t(file.tensors[1].values.size())};
       }),
       "'idf' is missing or has another shape");
  says(refused([](SafetensorsFile& file) {
         file.tensors[1].shape[0] -= 1;
         file.tensors[1].values.pop_back();
       }),
       "not of one size");
  says(refused([](SafetensorsFile& file) {
         file.tensors[2].shape[1] = 0;
         file.tensors[2].values.clear();
       }),
       "it is empty");
  for (const float id : {-1.0f, 0.5f, float(kHashedFeatures), std::nanf("")})
    says(refused([id](SafetensorsFile& file) { file.tensors[0].values[0] = id; }), "must ascend");
  says(
      refused([](SafetensorsFile& file) { file.tensors[0].values[1] = file.tensors[0].values[0]; }),
      "must ascend");
  for (const float idf : {0.0f, std::nanf(""), std::numeric_limits<float>::infinity()})
    says(refused([idf](SafetensorsFile& file) { file.tensors[1].values[2] = idf; }), "an idf");
  says(refused([](SafetensorsFile& file) { file.tensors[2].values[3] = std::nanf(""); }), "NaN");
  put(folder / "hurt", get(folder / "good").substr(0, 200));
  says(refusal([&] { read_lsa_basis(folder / "hurt"); }), "damaged");
  CHECK(refusal([&] { read_lsa_basis(folder / "missing"); }).find("missing: ") !=
        std::string::npos);
}

}  // namespace
}  // namespace rec::test
