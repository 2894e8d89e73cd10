#!/bin/sh
# Lock the versions, with hashes and without addresses: requirements/lock.sh [uv]
set -eu
cd "$(dirname "$0")/.."
uv=${1:-uv}
compile() {
  out=$1; shift
  "$uv" pip compile --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --quiet --upgrade -o "requirements/$out.txt" "$@"
}
dev="svc/pyproject.toml rollout/pyproject.toml --extra embedded --extra client --extra notify --extra grpc --group dev --group docs --group load"
# $dev is a list of arguments.
# shellcheck disable=SC2086
compile bench $dev --group bench
# The smaller sets are cut from the largest, so that all of them agree.
# shellcheck disable=SC2086
compile dev $dev -c requirements/bench.txt
compile rollout rollout/pyproject.toml --extra embedded --extra notify -c requirements/bench.txt
compile run svc/pyproject.toml --extra embedded -c requirements/bench.txt
compile service svc/pyproject.toml -c requirements/bench.txt
