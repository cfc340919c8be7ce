// The border of the C API: inside, exceptions; outside, a status and a sentence.
#pragma once
#include <stdexcept>

#include "host/c_api/rec.h"

namespace rec::c_api {

// No user or item has such an id.
class NotFound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller's hook interrupted a training, and all is saved.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Of the exception that is being handled: keeps its sentence for this thread, and says its status.
rec_status failed() noexcept;
const char* last_error() noexcept;

// What every function of rec.h is: REC_OK where body returns.
template <class Body>
rec_status call(Body body) noexcept {
  try {
    body();
    return REC_OK;
  } catch (...) {
    return failed();
  }
}

}  // namespace rec::c_api
