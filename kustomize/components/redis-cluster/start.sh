#!/bin/sh
# Start one server of the cluster. redis-0 forms the cluster, once.
set -eu

host_of() { echo "redis-$1.redis-headless"; }
ordinal=${POD_NAME##*-}
servers="0 1 2 3 4 5"

ask() {
  host=$1 && shift
  timeout 5 redis-cli -h "$host" -p 6379 --user operator "$@" 2>/dev/null | tr -d '\r'
}
answers() { [ "$(ask "$1" ping)" = PONG ]; }
knows_others() { ! ask "$POD_IP" cluster info | grep -qx cluster_known_nodes:1; }
misses_some() { ask "$POD_IP" cluster nodes | grep -q fail; }
address_of() { getent ahosts "$(host_of "$1")" | head -n 1 | cut -d ' ' -f 1; }

# Three primaries with a replica each. redis-cli refuses servers that are in a cluster or hold data.
form() {
  nodes=
  for i in $servers; do
    until answers "$(host_of "$i")"; do sleep 1; done
    nodes="$nodes $(address_of "$i"):6379"
  done
  # shellcheck disable=SC2086
  redis-cli --user operator --cluster create $nodes --cluster-replicas 1 --cluster-yes
}

# Servers know each other by address, and a new pod has a new address. If it can still reach any
# other server, that one tells the rest. If all pods were replaced, none can reach another.
introduce() {
  while :; do
    for i in $servers; do
      address=$(address_of "$i")
      [ -z "$address" ] || ask "$POD_IP" cluster meet "$address" 6379 >/dev/null
    done
    # Twice cluster-node-timeout: by then it knows which servers it can't reach.
    sleep 10
    misses_some || return 0
  done
}

{
  until answers "$POD_IP"; do sleep 1; done
  if knows_others; then
    introduce
  elif [ "$ordinal" = 0 ]; then
    form
  fi
} &

exec redis-server /etc/redis/cluster.conf \
  --cluster-announce-hostname "$(host_of "$ordinal")" --cluster-announce-ip "$POD_IP" "$@"
