// What this program was built from.
#pragma once

namespace rec {

extern const char* const kVersion;    // "0.1.0"
extern const char* const kCommit;     // abbreviated; "-dirty": with changes; "unknown": no git
extern const char* const kCompiler;   // "GNU-12.2.0"
extern const char* const kBuildType;  // "Release"

}  // namespace rec
