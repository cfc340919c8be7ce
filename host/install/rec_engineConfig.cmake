# find_package(rec_engine): the targets rec_engine::c, for #include <rec_engine/rec.h>, and rec_engine::rec_engine, for C++
# and #include "engine/operations.h". What the libraries use themselves they bring along, or name to the linker.
include("${CMAKE_CURRENT_LIST_DIR}/rec_engineTargets.cmake")
