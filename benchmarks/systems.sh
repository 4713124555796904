#!/bin/sh
# Trains, combines and scores every published system, one run at a time; stop it whenever you like and start it again.
# Usage: benchmarks/systems.sh [RUN...]     without names: all. Needs the extra train and MIEN_DATA; runs/ holds the state.
set -eu
mien=${MIEN:-.venv/bin/mien}
: "${MIEN_DATA:?names the folder that holds data/, see docs/training.md}"

learn() { # a recipe: train what is left of it, and first the run that it starts from; then predict the test fold
    [ -f "runs/$1/test.parquet" ] && return
    case $1 in *-160) learn "${1%-160}" ;; *-whole) learn "${1%-whole}" ;; *-distribution) learn "${1%-distribution}" ;; esac
    "$mien" train "$1" --resume
    "$mien" lab score "runs/$1"
}

baseline() { [ -f "runs/$1/test.parquet" ] || "$mien" lab baseline "$1" --output "runs/$1"; }

join() { # mode, new run, title, members
    mode=$1 run=$2 title=$3
    shift 3
    for member; do learn "$member"; done
    [ -f "runs/$run/model.safetensors" ] || {
        for member; do set -- "$@" "runs/$member"; shift; done
        "$mien" lab combine "$mode" "$@" --output "runs/$run" --title "$title"
    }
    [ -f "runs/$run/test.parquet" ] || "$mien" lab score "runs/$run"
}

make_run() {
    case $1 in
        separate) join pair separate "Two separate networks" separate-age separate-gender ;;
        experts) join gated experts "Gated VGG16 experts" gate-sigmoid expert-women expert-men ;;
        experts-softmax) join gated experts-softmax "Gated VGG16 experts, softmax gate" gate-softmax expert-women expert-men ;;
        hybrid-ensemble) join mean hybrid-ensemble "Ensemble of CNN and CNN-RNN" hybrid-gru-whole hybrid-cnn-distribution ;;
        lbp-svm | haar-boost | mlp-pixels | eigenface | fisherface) baseline "$1" ;;
        *) learn "$1" ;;
    esac
}

[ $# -gt 0 ] || set -- lbp-svm haar-boost mlp-pixels eigenface fisherface compact combined hybrid-lstm hybrid-gru-160 hybrid-cnn-lite2 hybrid-ensemble \
    regularised-age regularised-gender regularised-classes regularised-both experts experts-softmax separate
for run; do make_run "$run"; done
