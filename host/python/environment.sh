#!/usr/bin/env bash
# A Python with what building and testing the package in a build tree takes (requirements.txt), in a virtual environment
# of its own, made at the first run. Its path is the only line of standard output.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
wanted=$(cat "$here/requirements.txt")
venv=$here/.venv
if [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "$wanted" ]; then
  python3 -m venv --clear "$venv" >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt" >&2
  printf '%s\n' "$wanted" >"$venv/installed.txt"
fi
echo "$venv/bin/python"
