#!/usr/bin/env bash
# Makes item_language.npy of a dataset folder from its items.tsv; --help lists the options, which go to embed_items.py.
# Installs what it needs into data/.venv.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/venv.sh"
exec "$python" "$here/embed_items.py" "$@"
