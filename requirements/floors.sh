#!/bin/sh
# Run tests with the lowest versions that the distributions allow:
# requirements/floors.sh UV [pytest's arguments]
set -eu
cd "$(dirname "$0")/.."
uv=$1; shift
export VIRTUAL_ENV="$PWD/build/floors"
"$uv" venv --quiet --clear "$VIRTUAL_ENV"
"$uv" pip install --quiet --resolution lowest-direct --all-extras \
  -r svc/pyproject.toml -r rollout/pyproject.toml
"$uv" pip freeze > build/floors/floors.txt
"$uv" pip install --quiet --group dev -c build/floors/floors.txt
exec "$VIRTUAL_ENV/bin/python" -m pytest "$@"
