#!/bin/sh
# Install the system packages that tests use, when root on Debian or Ubuntu; say so.
set -eu
missing=
for pair in redis-server:redis-server wrk:wrk webdis:webdis prometheus:prometheus promtool:prometheus \
    openssl:openssl ip:iproute2 chromium:chromium valgrind:valgrind; do
  command -v "${pair%%:*}" >/dev/null 2>&1 && continue
  case "$missing " in *" ${pair##*:} "*) ;; *) missing="$missing ${pair##*:}" ;; esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing system packages:$missing …"
  export DEBIAN_FRONTEND=noninteractive
  # The tests run programs of their own: no package's service is to start here.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } </dev/null >/tmp/tallykv-apt.log 2>&1 \
    || { tail -5 /tmp/tallykv-apt.log; echo "could not install:$missing (the tests that need them are skipped)"; }
else
  echo "not installed:$missing (the tests that need them are skipped)"
fi
