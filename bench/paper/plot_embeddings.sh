#!/usr/bin/env bash
# Runs plot_embeddings.py in a virtual environment of its own with what requirements.txt pins (some 400 MB, made at the
# first run). Arguments go to the script. REC_PLOT_PYTHON names a Python that has these packages, to be used instead.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${REC_PLOT_PYTHON:-$here/.venv/bin/python}
if [ -z "${REC_PLOT_PYTHON:-}" ]; then
  [ -x "$python" ] || python3 -m venv "$here/.venv"
  "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi
exec "$python" "$here/plot_embeddings.py" "$@"
