#!/usr/bin/env bash
# Makes intention_queries.tsv of a dataset folder by a chat model; --help lists the options, which go to make_queries.py.
# Needs Python's standard library alone.
set -euo pipefail
exec python3 "$(cd "$(dirname "$0")" && pwd)/make_queries.py" "$@"
