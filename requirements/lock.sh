#!/bin/sh
# Lock the versions, with hashes and without addresses: requirements/lock.sh [uv]
set -eu
cd "$(dirname "$0")/.."
compile() {
  out=$1; shift
  "${uv:-uv}" pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --quiet --upgrade -o "requirements/$out.txt" "$@"
}
uv=${1:-uv}
compile bench --extra embedded --extra rollout --extra dev --extra load --extra bench
# The smaller sets are cut from the largest, so that all of them agree.
compile dev --extra embedded --extra rollout --extra dev --extra load -c requirements/bench.txt
compile run --extra embedded -c requirements/bench.txt
compile service -c requirements/bench.txt
