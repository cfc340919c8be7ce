// A hash of bytes given part by part (XXH3, 64 bits), which tells contents apart and shows damage.
// It is no defence against someone who means to deceive.
#pragma once
#include <memory>
#include <string>
#include <string_view>

struct XXH3_state_s;  // xxhash.h's, so that this header needs none of it

namespace rec {

class ContentHash {
 public:
  ContentHash();
  void add(std::string_view bytes);
  // Of all bytes so far: 16 hexadecimal digits.
  std::string text() const;

 private:
  std::unique_ptr<XXH3_state_s, void (*)(XXH3_state_s*)> state_;
};

}  // namespace rec
