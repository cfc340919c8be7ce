#!/usr/bin/env bash
# Remakes data/debian-deps from this machine's Debian 12 package index (apt-get update first). Arguments go to
# make_debian_deps.py. Installs what it needs into data/.venv.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/venv.sh"
exec "$python" "$here/make_debian_deps.py" "$@"
