#!/usr/bin/env bash
# From a bare Debian 12 machine to recommendations: installs, builds, trains AlphaRec on the bundled dataset, and prints
# its metrics beside the baselines' and ten recommendations.
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh
cmake --preset cpu -DREC_TESTS=OFF -DREC_BENCH=OFF >build.log 2>&1 || { cat build.log; exit 1; }
echo "quickstart: building (a minute or two; build.log)"
cmake --build --preset cpu --target rec_engine >>build.log 2>&1 || { tail -30 build.log; exit 1; }
rec=build/cpu/rec_engine
$rec train data/debian-deps --out runs/debian-deps --device cpu --resume
echo
for baseline in emb-knn popularity; do $rec evaluate --model $baseline data/debian-deps --device cpu; done
echo
$rec recommend runs/debian-deps --users audacity --topk 10 --device cpu
