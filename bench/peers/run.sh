#!/usr/bin/env bash
# Runs a script of this folder, compare.py or the one named first (follow.py, preparing.py), in a virtual environment of
# its own with the pinned PyTorch and pandas (some GB, made at the first run). Other arguments go to the script. REC_PEERS_PYTHON names a Python
# that has what requirements.txt lists, to be used instead.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${REC_PEERS_PYTHON:-$here/.venv/bin/python}
if [ -z "${REC_PEERS_PYTHON:-}" ]; then
  [ -x "$python" ] || python3 -m venv "$here/.venv"
  "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi
script=compare.py
if [[ "${1:-}" == *.py ]]; then script=$1; shift; fi
exec "$python" "$here/$script" "$@"
