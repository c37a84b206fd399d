#!/bin/sh
# Makes paddock-demo.gguf from nothing: an environment of its own, data, training, export, evaluation.
#   ./reproduce.sh [work directory] [minutes of training]
# An accelerator is used when DEVICE=cuda is set; none is needed. LLAMA_PYTHON names a Python that has llama-cpp-python (Paddock's own).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$here/.work}
minutes=${2:-120}
threads=$(getconf _NPROCESSORS_ONLN)
mkdir -p "$work"
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
cd "$here"
"$work/venv/bin/python" prepare.py "$work/data" --shards 64 --processes "$threads"
# Threads that spin at a barrier cost a busy machine far more than they gain.
OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0 "$work/venv/bin/python" train.py "$work/data" "$work/model.pt" \
    --minutes "$minutes" --decay-minutes "$((minutes / 3))" --threads "$threads" --device "${DEVICE:-cpu}"
"$work/venv/bin/python" export.py "$work/model.pt" "$here/paddock-demo.gguf"
"${LLAMA_PYTHON:-$here/../../.venv/bin/python}" evaluate.py "$here/paddock-demo.gguf" --conversations 1000 --threads "$threads"
