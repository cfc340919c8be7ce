#include "host/c_api/calls.h"

#include <cstdio>
#include <new>
#include <system_error>

#include "engine/remedy.h"
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

// What is to be done, by which argument or field of rec.h.
const char* in_arguments(Remedy remedy) {
  switch (remedy) {
    case Remedy::another_device: return "use device cpu or auto";
    case Remedy::fp32: return "use precision=fp32, which every device has";
    case Remedy::another_folder: return "give another folder";
    case Remedy::folder_in_it: return "give a folder in it";
    case Remedy::resume_or_overwrite: return "set resume to go on, or overwrite to replace it";
    case Remedy::settings_of_run: return "leave that out, or set overwrite to begin anew";
    case Remedy::overwrite: return "set overwrite to begin anew";
    case Remedy::name_dataset: return "give rec_model_load() the dataset";
    case Remedy::same_language_model: return "embed the titles with the same model";
    case Remedy::make_vectors_again: return "make the vectors again";
    case Remedy::choose_language: return "give one as language";
    case Remedy::leave_language_out: return "give no language";
    case Remedy::none: break;
  }
  return "";
}

rec_status keep_whole(rec_status status, const std::exception& error) {
  try {
    return keep(status, whole_sentence(error, in_arguments).c_str());
  } catch (...) {  // no memory for more
    return keep(status, error.what());
  }
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
    return keep_whole(REC_UNAVAILABLE, error);
  } catch (const NotEnoughMemory& error) {
    return keep(REC_OUT_OF_MEMORY, error.what());
  } catch (const FileError& error) {
    return keep_whole(REC_FILE, error);
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
