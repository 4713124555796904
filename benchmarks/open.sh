#!/bin/sh
# mien-open from its start weights to its card. Nothing is trained; the evaluations take ten minutes on two cores.
# Needs the extra train and MIEN_DATA. ONLY=figures leaves the model as it is and makes its evaluations and card anew.
set -eu
mien=${MIEN:-.venv/bin/mien}
model=src/mien/models/mien-open results=docs/results
root=${MIEN_DATA:?names the folder that holds data/ and pretrained/, see docs/training.md}
utkface="--data $root/data/utkface/images --folds $root/data/utkface/splits.csv"
if [ "${ONLY:-all}" = all ]; then
    "$mien" train mien-open
    "$mien" export runs/mien-open --output "$model"
    "$mien" calibrate mien-open --collections benchmarks/open.yaml --no-temperatures --no-age-checks -q
fi
"$mien" evaluate mien-open $utkface -q --format json > "$results/mien-open.json"
"$mien" evaluate mien-open --collections benchmarks/collections.yaml -q --output "$results/mien-open-abroad.json"
"$mien" lab card mien-open --evaluation "$results/mien-open.json" --on 'the test fold of UTKFace (splits.csv), one pass' \
    --collections "$results/mien-open-abroad.json" --copy docs/model-card-mien-open.md
