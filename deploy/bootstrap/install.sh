#!/usr/bin/env bash
# Makes .venv from uv.lock: `install.sh run` with what the server needs, `install.sh test` with what the tests need too.
# Long steps say so and are done once. Without a network it works from what is already there.
set -euo pipefail
cd "$(dirname "$0")/../.."

bootstrap=.venv-bootstrap
oldest_uv=0.9.0

fail() {
  echo "paddock: $*" >&2
  exit 1
}

# The lock's packages have wheels for 3.11 and 3.12; a later Python builds more of them from source. The answer is the interpreter
# itself: uv takes a launcher in front of it (pyenv's) for another Python, and makes .venv anew below a server that runs from it.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.13 python3.14}; do
    if "$candidate" -c 'import os, sys; assert sys.version_info >= (3, 11); print(os.path.realpath(sys.executable))' 2>/dev/null; then
      return
    fi
  done
  fail "Python 3.11 or newer is needed; found: $(python3 --version 2>&1 || true). Install one, or name it: make PYTHON=/path/to/python3.12"
}

# uv on the PATH where it is new enough, else our own, pinned and checked by its hashes.
find_uv() {
  local on_path
  if on_path=$(command -v uv) && [ "$(printf '%s\n' "$oldest_uv" "$(uv --version | cut -d' ' -f2)" | sort -V | head -n1)" = "$oldest_uv" ]; then
    echo "$on_path"
    return
  fi
  if ! cmp -s deploy/bootstrap/requirements.txt "$bootstrap/installed"; then
    echo "installing uv into $bootstrap ..." >&2
    "$1" -m venv --clear "$bootstrap" >&2 || fail "python3 -m venv failed (on Debian and Ubuntu: apt-get install python3-venv)"
    "$bootstrap/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
      -r deploy/bootstrap/requirements.txt >&2 || fail "uv could not be installed: is there a network?"
    cp deploy/bootstrap/requirements.txt "$bootstrap/installed"
  fi
  echo "$PWD/$bootstrap/bin/uv"
}

need_compiler() {
  local compiler
  for compiler in ${CXX:-c++ g++ clang++}; do
    if command -v "$compiler" >/dev/null; then
      return
    fi
  done
  fail "a C++ compiler is needed to build llama.cpp. Install one:
  Debian, Ubuntu: apt-get install g++      Fedora: dnf install gcc-c++      macOS: xcode-select --install"
}

# Runs a command whose own output is sparse, and says every 20 s that it is still running.
with_heartbeat() {
  local what=$1 started=$SECONDS
  shift
  (while sleep 20 >/dev/null 2>&1; do echo "  ... $what: $((SECONDS - started)) s"; done) &
  beat=$! # not local: the trap runs outside
  trap 'kill "$beat" 2>/dev/null || true' EXIT
  "$@"
  kill "$beat" 2>/dev/null || true
  wait "$beat" 2>/dev/null || true
  trap - EXIT
}

sync() {
  "$uv" sync --frozen --inexact --python "$python" "${groups[@]}" "$@"
}

case "${1:-}" in
  run) groups=(--no-dev) ;;
  test) groups=() ;;
  *) fail "usage: install.sh run|test" ;;
esac
python=$(find_python)
uv=$(find_uv "$python")
export UV_PYTHON_DOWNLOADS=never CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(getconf _NPROCESSORS_ONLN)}"

if ! .venv/bin/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("llama_cpp") is None)' 2>/dev/null; then
  need_compiler
  echo "installing the dependencies ..."
  sync --no-install-package llama-cpp-python
  echo "building llama.cpp, once (about 5 minutes on 2 cores) ..."
  with_heartbeat "building llama.cpp" sync
else
  sync --offline --quiet 2>/dev/null || sync # what changed is mostly our own code, which needs no network
fi
