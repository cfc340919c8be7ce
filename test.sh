#!/usr/bin/env bash
# Installs what the tests need, builds everything, and runs every test.
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh --dev
cmake --preset cpu -DREC_TESTS=ON -DREC_BENCH=ON
cmake --build --preset cpu
ctest --preset cpu -j "$(nproc)" "$@"
