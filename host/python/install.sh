#!/usr/bin/env bash
# Installs the Python package from a bare Debian 12: the packages that building needs, a virtual environment (.venv of the
# checkout, or the folder named), and rec_engine in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${1:-.venv}
./setup.sh --python
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
echo "install: building (some minutes)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check .
"$venv/bin/python" -c "import rec_engine; print('rec_engine', rec_engine.__version__, 'is installed in $venv')"
