#!/usr/bin/env bash
# Rewrite every lock in this folder: `make lock`. Needs uv and a package index; nothing else here does.
#
# The locks are universal (one file for Python 3.10-3.13 and every platform), carry hashes, and name
# no index: whoever installs them uses the index that their own pip or uv is set up with.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}
export UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never

compile() { # OUTPUT [uv arguments...]
  local output=$1
  shift
  "$uv" pip compile --quiet --universal --python-version 3.10 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    --upgrade --output-file "requirements/$output" "$@"
}

compile uv.txt - <<<'uv'
compile dev.txt --extra dev pyproject.toml
compile sim.txt --extra mujoco pyproject.toml
compile policy.txt --extra gateway --extra export pyproject.toml
# The two ends of what the link supports: numpy 1 at its floor, numpy 2 at its newest.
compile numpy1.txt - <<<"numpy==1.24.4 ; python_version < '3.12'
numpy==1.26.4 ; python_version == '3.12'"
compile numpy2.txt - <<<'numpy>=2'

# PyTorch's builds differ by index in hash, local version and the accelerator's libraries they need.
# So this lock pins versions without hashes, leaves those libraries to pip, and pip installs it.
"$uv" pip compile --quiet --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
  --upgrade --constraint <(echo 'torch==2.13.0') --extra train --extra dev pyproject.toml |
  sed -E 's/^(torch==[0-9.]+)\+.*/\1/; /^(cuda|nvidia|triton)[-=]/d' >requirements/train.txt
