// The program rec_engine, as main() and the bindings call it.
#pragma once

namespace rec {

// argv[0] is the program's name. Returns the exit status; refusals are a line on standard error.
int run_program(int argc, const char* const* argv);

}  // namespace rec
