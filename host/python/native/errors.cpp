#include "host/python/native/errors.h"

#include <nanobind/nanobind.h>

#include <exception>

#include "engine/remedy.h"
#include "engine/unavailable_device.h"
#include "host/formats/file_error.h"

namespace rec::python {
namespace {

// What is to be done, by which argument of the package's.
const char* in_arguments(Remedy remedy) {
  switch (remedy) {
    case Remedy::another_device: return "use device='cpu' or 'auto'";
    case Remedy::fp32: return "use precision='fp32', which every device has";
    case Remedy::another_folder: return "choose another folder";
    case Remedy::folder_in_it: return "choose a folder in it";
    case Remedy::resume_or_overwrite:
      return "go on with resume=True, or give another folder as run";
    case Remedy::settings_of_run:
      return "give the settings it began with, or begin anew with another folder as run";
    case Remedy::overwrite: return "begin anew with another folder as run";
    case Remedy::name_dataset: return "give load() the dataset's folder as data";
    case Remedy::same_language_model: return "embed the titles with the same model";
    case Remedy::make_vectors_again: return "make the vectors again";
    case Remedy::choose_language:
      return "use a folder with one of them, or give fit() arrays with one as item_vectors";
    case Remedy::leave_language_out:  // the package chooses none
    case Remedy::none: break;
  }
  return "";
}

// A file that cannot be used is a value that cannot.
void translate(const std::exception_ptr& raised, void*) {
  try {
    std::rethrow_exception(raised);
  } catch (const FileError& error) {
    PyErr_SetString(PyExc_ValueError, whole_sentence(error, in_arguments).c_str());
  } catch (const UnavailableDevice& error) {
    PyErr_SetString(PyExc_RuntimeError, whole_sentence(error, in_arguments).c_str());
  }
}

}  // namespace

void bind_errors() { nanobind::register_exception_translator(&translate); }

}  // namespace rec::python
