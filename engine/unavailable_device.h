// A device, or a precision of it, that cannot be had on this machine or in this build.
#pragma once
#include <stdexcept>

namespace rec {

class UnavailableDevice : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace rec
