// rec_engine: trains, evaluates and serves AlphaRec. Commands are in host/commands/.
#include "host/commands/program.h"

int main(int argc, char** argv) { return rec::run_program(argc, argv); }
