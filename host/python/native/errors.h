// How the sentences of the libraries arrive in Python.
#pragma once

namespace rec::python {

void bind_errors();

}  // namespace rec::python
