#!/usr/bin/env bash
# Installs what the tests need, builds everything, and runs every test.
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh --dev
package=()
if python=$(host/python/environment.sh); then
  package=(-DREC_PYTHON=ON -DPython_EXECUTABLE="$python")
else
  echo "test: the Python package is neither built nor tested: what it needs could not be installed" >&2
fi
cmake --preset cpu -DREC_TESTS=ON -DREC_BENCH=ON "${package[@]}"
cmake --build --preset cpu
ctest --preset cpu -j "$(nproc)" "$@"
