#!/bin/sh
# Start with the current settings and with what this Sentinel has learned so far.
set -eu

config=/data/sentinel.conf
learned=
if [ -s "$config" ]; then
  learned=$(grep -E '^sentinel (myid|current-epoch|monitor|config-epoch|leader-epoch|known-[a-z]+) ' "$config" || true)
fi
{
  if [ -n "$learned" ]; then
    grep -v '^sentinel monitor ' /etc/sentinel/sentinel.conf
    echo "$learned"
  else
    cat /etc/sentinel/sentinel.conf
  fi
  cat /etc/sentinel-secret/sentinel-auth.conf
  echo "sentinel announce-ip sentinel-${POD_NAME##*-}.sentinel"
} >"$config.new"
mv "$config.new" "$config"
exec redis-server "$config" --sentinel "$@"
