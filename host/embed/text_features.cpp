#include "host/embed/text_features.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace rec {
namespace {

constexpr size_t kShortestRun = 3, kLongestRun = 5;  // characters
constexpr int kHashBits = std::countr_zero(uint32_t{kHashedFeatures});

struct Range {
  uint32_t first, last;
};
constexpr bool is_in(uint32_t code, Range range) {
  return range.first <= code && code <= range.last;
}

// Beyond ASCII: spaces, punctuation and symbols.
constexpr std::array<Range, 13> kNoWord = {{{0x80, 0xA9},  // Latin-1's, but for ª, µ and º
                                            {0xAB, 0xB4},
                                            {0xB6, 0xB9},
                                            {0xBB, 0xBF},
                                            {0xD7, 0xD7},      // ×
                                            {0xF7, 0xF7},      // ÷
                                            {0x2000, 0x206F},  // general punctuation
                                            {0x20A0, 0x20CF},  // currencies
                                            {0x2190, 0x2BFF},  // arrows, operators, shapes
                                            {0x3000, 0x3004},  // CJK punctuation
                                            {0x3008, 0x3020},
                                            {0xFF01, 0xFF0F},  // full width
                                            {0xFF1A, 0xFF20}}};

bool is_word_character(uint32_t code) {
  if (code < 0x80)
    return is_in(code, {'0', '9'}) || is_in(code, {'A', 'Z'}) || is_in(code, {'a', 'z'});
  return std::none_of(kNoWord.begin(), kNoWord.end(),
                      [code](Range range) { return is_in(code, range); });
}

// Capitals that stand in pairs with their small letters, capital first.
constexpr std::array<Range, 6> kPairs = {{{0x0100, 0x012F},  // Latin Extended-A
                                          {0x0132, 0x0137},
                                          {0x014A, 0x0177},
                                          {0x0460, 0x0481},  // Cyrillic
                                          {0x048A, 0x04BF},
                                          {0x04D0, 0x052F}}};
constexpr std::array<Range, 3> kOddPairs = {{{0x0139, 0x0148}, {0x0179, 0x017E}, {0x04C1, 0x04CE}}};

// Latin, Greek and Cyrillic, of the ranges that single rules describe.
uint32_t small_letter(uint32_t code) {
  if (is_in(code, {'A', 'Z'})) return code + 32;
  if (code < 0xC0) return code;
  if (is_in(code, {0xC0, 0xDE}) && code != 0xD7) return code + 32;
  for (const Range range : kPairs)
    if (is_in(code, range)) return code | 1;
  for (const Range range : kOddPairs)
    if (is_in(code, range)) return code % 2 == 1 ? code + 1 : code;
  if (code == 0x0178) return 0xFF;
  if (code == 0x0386) return 0x03AC;
  if (is_in(code, {0x0388, 0x038A})) return code + 37;
  if (code == 0x038C) return 0x03CC;
  if (is_in(code, {0x038E, 0x038F})) return code + 63;
  if (is_in(code, {0x0391, 0x03AB}) && code != 0x03A2) return code + 32;
  if (is_in(code, {0x0400, 0x040F})) return code + 80;
  if (is_in(code, {0x0410, 0x042F})) return code + 32;
  return code;
}

// The character at the beginning, which is taken away. text: valid UTF-8
uint32_t take_character(std::string_view& text) {
  const auto byte = [&](size_t i) { return uint32_t(static_cast<unsigned char>(text[i])); };
  const uint32_t lead = byte(0);
  const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3F);
  text.remove_prefix(length);
  return code;
}

void append_character(std::string& text, uint32_t code) {
  if (code < 0x80) {
    text += char(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;  // bytes after the first
  text += char((0xF00u >> (more + 1) & 0xFF) | code >> 6 * more);
  for (int i = more - 1; i >= 0; --i) text += char(0x80 | (code >> 6 * i & 0x3F));
}

// The next word, which is taken away with what is before it; "" where there is none.
std::string take_word(std::string_view& text) {
  std::string word;
  while (!text.empty()) {
    const uint32_t code = take_character(text);
    if (is_word_character(code))
      append_character(word, small_letter(code));
    else if (!word.empty())
      break;
  }
  return word;
}

template <class Visit>
void visit_runs(const std::string& word, const Visit& visit) {
  const std::string padded = " " + word + " ";
  std::vector<size_t> begins;  // of its characters, and its end
  for (size_t i = 0; i < padded.size(); ++i)
    if ((static_cast<unsigned char>(padded[i]) & 0xC0) != 0x80) begins.push_back(i);
  begins.push_back(padded.size());
  for (size_t length = kShortestRun; length <= kLongestRun; ++length)
    for (size_t c = 0; c + length < begins.size(); ++c)
      visit("#" + padded.substr(begins[c], begins[c + length] - begins[c]));
}

// Each term as it is made: all of them take dozens of times the text's own memory.
template <class Visit>
void visit_terms(std::string_view text, const Visit& visit) {
  std::string before;
  for (std::string word = take_word(text); !word.empty(); word = take_word(text)) {
    visit(word);
    visit_runs(word, visit);
    if (!before.empty()) visit(before + " " + word);
    before = std::move(word);
  }
}

}  // namespace

std::vector<std::string> terms_of(std::string_view text) {
  std::vector<std::string> terms;
  visit_terms(text, [&](const std::string& term) { terms.push_back(term); });
  return terms;
}

std::vector<FeatureCount> count_features(std::string_view text) {
  std::vector<int32_t> features;
  visit_terms(text, [&](const std::string& term) {
    features.push_back(int32_t(XXH3_64bits(term.data(), term.size()) >> (64 - kHashBits)));
  });
  std::sort(features.begin(), features.end());
  std::vector<FeatureCount> counts;
  for (const int32_t feature : features) {
    if (counts.empty() || counts.back().feature != feature) counts.push_back({feature, 0});
    ++counts.back().count;
  }
  return counts;
}

}  // namespace rec
