// What the fuzzers feed: each function reads the bytes in every way its reader offers and lets go
// of what the reader refuses. A crash, a hang or a broken promise (std::abort) is a finding.
//
// tests/host/test_fuzz_corpus.cpp replays tests/fuzz/corpus/<name>/ through the same functions.
#pragma once
#include <string_view>

namespace rec::test {

void fuzz_text(std::string_view bytes);  // interactions and id tables
void fuzz_npy(std::string_view bytes);
void fuzz_toml(std::string_view bytes);  // as a file and as a --set
void fuzz_safetensors(std::string_view bytes);
void fuzz_records(std::string_view bytes);  // delimited text, also compressed
// A source of `prepare`, found and read: the first byte says what its files are called, and the
// others are their contents with 0x1E between them (kSourceLayouts in readers.cpp).
void fuzz_sources(std::string_view bytes);
void fuzz_times(std::string_view bytes);

}  // namespace rec::test
