#!/bin/sh
# Everything in docs/results that tells of one shipped model, made anew: thresholds, evaluations, audits, page and card.
# Usage: benchmarks/renew.sh MODEL     after `mien export RUN --name MODEL --output src/mien/models/MODEL`.
# Needs the extra train, MIEN_DATA and runs/mien-m-teacher-all.parquet (`mien lab crossfit`, see docs/models.md); half an hour
# on two cores. What is there already is kept where KEEP=1, so that a stopped run can go on; ONLY=quick leaves the two
# slow audits, the page and the card out.
set -eu
model=$1
mien=${MIEN:-.venv/bin/mien}
root=${MIEN_DATA:?names the folder that holds data/, see docs/models.md}
faces="--data $root/data/utkface/images --folds $root/data/utkface/splits.csv -q"
honest=${HONEST:-runs/mien-m-teacher-all.parquet} # answers of the step teacher-all of mien-m
results=docs/results trust=docs/results/trust work=runs/figures-$model
mkdir -p "$work" "$trust"

make() { # file, command: what it prints becomes the file, once it is done
    [ "${KEEP:-0}" = 1 ] && [ -s "$1" ] && return
    file=$1
    shift
    "$mien" "$@" > "$work/part"
    mv "$work/part" "$file"
}

make "$work/calibrated.json" calibrate "$model" --collections benchmarks/collections.yaml -q \
    --cross-fitted "$honest"
make "$results/$model.json" evaluate "$model" $faces --format json --predictions "$work/test.parquet"
make "$results/$model-mirror.json" evaluate "$model" $faces --mirror --format json
make "$results/$model-through-mtcnn.json" evaluate "$model" $faces --through mtcnn --format json
make "$work/val.json" evaluate "$model" $faces --fold val --format json --predictions "$work/val.parquet"
saved="--predictions $work/test.parquet --format json"
make "$trust/$model-calibration.json" lab audit calibration "$model" $faces $saved --reference-fold val \
    --reference-predictions "$work/val.parquet"
make "$trust/$model-abstain.json" lab audit abstain "$model" $faces --fold val --predictions "$work/val.parquet" --format json
make "$trust/$model-age-checks.json" lab audit age-checks "$model" $faces $saved
make "$trust/$model-fairness.json" lab audit fairness "$model" $faces $saved --by race --by gender
make "$results/$model-abroad.json" evaluate "$model" --collections benchmarks/collections.yaml --format json -q \
    --predictions "$work/abroad"
[ "${ONLY:-all}" = quick ] && exit
make "$trust/$model-robustness.json" lab audit robustness "$model" $faces --format json --plot "docs/images/$model-robustness.png" \
    --grid docs/images/robustness-grid.jpg
make "$trust/$model-explanations.json" lab audit explanations "$model" $faces --format json
"$mien" report "$model" $faces --predictions "$work/test.parquet" --robustness "$trust/$model-robustness.json" \
    --explanations "$trust/$model-explanations.json" --collections "$results/$model-abroad.json" --output "$trust/$model.html" \
    --card 'the test fold of UTKFace (splits.csv), one pass' --card-copy "docs/model-card-$model.md"
