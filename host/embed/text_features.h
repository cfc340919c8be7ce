// The terms of a text and their hashes, without a dictionary: words, pairs of words side by side,
// and runs of 3 to 5 characters within a word, so that "kettle" and "kettles" share most of theirs.
//
// A word is a run of letters, marks and digits: ASCII's letters and digits, and every character
// beyond ASCII but spaces, punctuation and symbols of the blocks that is_word_character()
// (text_features.cpp) lists. Capitals of Latin, Greek and Cyrillic become small; other alphabets
// stay as they are, and so do accents. A script without blanks makes long words, of which the runs
// of characters are what titles share.
//
// Test: tests/host/test_lsa.cpp
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rec {

// Two terms in a few hundred thousand share a feature. Small enough for a float32 to hold exactly.
inline constexpr int32_t kHashedFeatures = 1 << 18;

// How features are made, for the file of a basis: one made in another way fits no text of ours.
inline constexpr std::string_view kFeatureScheme =
    "words 1-2, characters 3-5 within words, 2^18 hashes, scheme 1";

// "Red kettle" -> "red", "# re", "#red", "#ed ", "# red", "#red ", "# red ", "kettle", ...,
// "red kettle": each time it occurs. Runs of characters begin with #; a blank stands at both ends
// of the word they come from. text: UTF-8
std::vector<std::string> terms_of(std::string_view text);

struct FeatureCount {
  int32_t feature;  // hash of a term, from 0 and below kHashedFeatures
  int32_t count;
};

// Ascending by feature, each once.
std::vector<FeatureCount> count_features(std::string_view text);

}  // namespace rec
