#!/usr/bin/env bash
# Installs the Debian packages that building needs; with --python those of the Python package too; with --dev also those of
# the tests and checks, and CUDA's headers where there is no CUDA toolkit. Says nothing when all are there.
set -euo pipefail
cd "$(dirname "$0")"

install_packages() {
  local missing=() as_root=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "setup: installing ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The tests compile the CUDA kernels for the CPU, which takes CUDA's headers and nothing else of it.
fetch_cuda_headers() {
  local folder
  for folder in ${CUDA_HOME:+"$CUDA_HOME/include"} /usr/local/cuda/include .cuda_headers/nvidia/cu13/include; do
    [ -f "$folder/cuda_runtime_api.h" ] && return
  done
  echo "setup: fetching CUDA's headers into .cuda_headers"
  # Made beside its place and renamed: an interrupted run leaves nothing that looks whole.
  work=$(mktemp -d .cuda_headers.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --dest "$work" --requirement tests/emulator/requirements.txt
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  rm -rf "$work/wheel/nvidia/cu13/lib" .cuda_headers
  mv "$work/wheel" .cuda_headers
}

build_packages=(g++ cmake ninja-build pkg-config git libfmt-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
                libopenblas-dev librandom123-dev libxxhash-dev libboost-dev zlib1g-dev libzstd-dev robin-map-dev)
python_packages=(python3 python3-dev python3-venv)
dev_packages=(catch2 libbenchmark-dev clang-14 libomp-14-dev clang-format-14)
case "${1:-}" in
  --dev)
    install_packages "${build_packages[@]}" "${python_packages[@]}" "${dev_packages[@]}"
    fetch_cuda_headers
    ;;
  --python) install_packages "${build_packages[@]}" "${python_packages[@]}" ;;
  *) install_packages "${build_packages[@]}" ;;
esac
