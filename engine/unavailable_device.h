// A device, or a precision of it, that cannot be had on this machine or in this build.
#pragma once
#include <stdexcept>
#include <string>

#include "engine/remedy.h"

namespace rec {

class UnavailableDevice : public std::runtime_error, public WithRemedy {
 public:
  UnavailableDevice(const std::string& sentence, Remedy remedy)
      : std::runtime_error(sentence), WithRemedy(remedy) {}
};

}  // namespace rec
