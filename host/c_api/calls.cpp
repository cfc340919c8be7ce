#include "host/c_api/calls.h"

#include <cstdio>
#include <new>
#include <system_error>

#include "engine/unavailable_device.h"
#include "host/formats/file_error.h"
#include "host/run/memory.h"

namespace rec::c_api {
namespace {

// An array, because keeping a sentence must not fail.
thread_local char sentence[2001] = "";

rec_status keep(rec_status status, const char* text) {
  std::snprintf(sentence, sizeof sentence, "%s", text);
  return status;
}

}  // namespace

rec_status failed() noexcept {
  try {
    throw;
  } catch (const NotFound& error) {
    return keep(REC_NOT_FOUND, error.what());
  } catch (const Interrupted& error) {
    return keep(REC_INTERRUPTED, error.what());
  } catch (const UnavailableDevice& error) {
    return keep(REC_UNAVAILABLE, error.what());
  } catch (const NotEnoughMemory& error) {
    return keep(REC_OUT_OF_MEMORY, error.what());
  } catch (const FileError& error) {
    return keep(REC_FILE, error.what());
  } catch (const std::system_error& error) {
    return keep(REC_FILE, error.what());
  } catch (const std::bad_alloc&) {
    return keep(REC_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::length_error&) {
    return keep(REC_OUT_OF_MEMORY, "there is not enough memory for arrays of such a size");
  } catch (const std::invalid_argument& error) {
    return keep(REC_INVALID_ARGUMENT, error.what());
  } catch (const std::domain_error& error) {
    return keep(REC_INVALID_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    return keep(REC_FAILED, error.what());
  } catch (...) {
    return keep(REC_FAILED, "failed for a reason that is not known");
  }
}

const char* last_error() noexcept { return sentence; }

}  // namespace rec::c_api
