#!/bin/sh
# Makes paddock-demo.gguf from nothing: an environment of its own, data, training, export, evaluation.
#   ./reproduce.sh [work directory] [minutes of training] [result] [conversations to evaluate]
# An accelerator is used when DEVICE=cuda is set; none is needed. TRAIN_PYTHON names a Python that has requirements.txt already,
# LLAMA_PYTHON one that has llama-cpp-python (Paddock's own). Stopped and started again, the training goes on where it was.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here/.work}"
work=$(cd "${1:-$here/.work}" && pwd)
minutes=${2:-240}
result=$(realpath "${3:-$here/paddock-demo.gguf}")
conversations=${4:-1000}
cores=$(getconf _NPROCESSORS_ONLN)
device=${DEVICE:-cpu}
python=${TRAIN_PYTHON:-$work/venv/bin/python}
if [ ! -x "$python" ]; then
    python3 -m venv "$work/venv"
    "$python" -m pip install --quiet --require-hashes --requirement "$here/requirements.txt"
fi
cd "$here"
"$python" prepare.py "$work/data" --shards "$((minutes / 3 + 2))" --processes "$cores"
if [ "$device" = cpu ]; then
    # Two processes meet once a step, threads at every operation; and threads that spin at a barrier cost a busy machine more than they gain.
    export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0
    workers=2 tokens=4096
else
    workers=1 tokens=8192
fi
train() {
    "$python" -m torch.distributed.run --standalone --nproc-per-node "$workers" train.py "$work/data" "$work/model.pt" --device "$device" \
        --tokens "$tokens" --threads "$(((cores + 1) / 2))" "$@"
}
# Half of the time for everything, half for what is not known by then.
if [ ! -e "$work/first-half" ]; then
    train --minutes "$((minutes / 2))"
    touch "$work/first-half"
fi
train --minutes "$((minutes - minutes / 2))" --rate 0.3 --unknown-only
"$python" export.py "$work/model.pt" "$result"
"${LLAMA_PYTHON:-$here/../../.venv/bin/python}" evaluate.py "$result" --conversations "$conversations" --threads "$cores"
