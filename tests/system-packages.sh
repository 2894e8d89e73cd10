#!/bin/sh
# Install the system packages that tests use, when root on Debian or Ubuntu; say so.
set -eu
missing=
for pair in redis-server:redis-server wrk:wrk webdis:webdis; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing system packages:$missing …"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/tmp/tallykv-apt.log 2>&1 \
    || { tail -5 /tmp/tallykv-apt.log; echo "could not install:$missing (the tests that need them are skipped)"; }
else
  echo "not installed:$missing (the tests that need them are skipped)"
fi
