#!/usr/bin/env bash
# Installs the Debian packages that building needs, and with --dev those of the tests and checks. Says nothing when
# all are there.
set -euo pipefail
packages=(g++ cmake ninja-build pkg-config git libfmt-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
          libopenblas-dev librandom123-dev libxxhash-dev)
[ "${1:-}" = --dev ] && packages+=(catch2 libbenchmark-dev clang-14 libomp-14-dev clang-format-14 python3 python3-venv)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "setup: installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
