#!/bin/sh
# Start as what Sentinel says this server is: the primary, or a replica of it.
set -eu

host_of() { echo "redis-$1.redis-headless"; }
me=$(host_of "${POD_NAME##*-}")
config=/data/redis.conf

# Print the primary and the number of its replicas, as the first Sentinel that answers knows them.
ask_sentinels() {
  for i in 0 1 2; do
    facts=$(timeout 2 redis-cli -h "sentinel-$i.sentinel" -p 26379 --raw sentinel masters 2>/dev/null || true)
    host=$(echo "$facts" | sed -n '/^ip$/{n;p;}')
    case $host in
      redis-*.redis-headless) echo "$host $(echo "$facts" | sed -n '/^num-slaves$/{n;p;}')" && return ;;
    esac
  done
}

# Where no Sentinel answers, what was true last holds; at the very first start redis-0 is the primary.
if [ -s "$config" ]; then
  primary=$(sed -n 's/^replicaof \([^ ]*\) .*/\1/p' "$config")
  primary=${primary:-$me}
else
  primary=$(host_of 0)
fi
told=$(ask_sentinels)
# A primary that lost its volume must not have its replicas follow it into the void: it waits until
# one of them is the primary.
while [ ! -s "$config" ] && [ "${told%% *}" = "$me" ] && [ "${told##* }" != 0 ]; do
  echo "no data here, and replicas that may have it: waiting for Sentinel to choose one of them"
  sleep 1
  told=$(ask_sentinels)
done
[ -z "$told" ] || primary=${told%% *}

# Sentinel has the file rewritten after a failover; but for who is the primary, it is made anew here.
{
  echo "include /etc/redis/redis.conf"
  echo "include /etc/redis/failover.conf"
  echo "include /etc/redis-secret/replication.conf"
  echo "replica-announce-ip $me"
  [ "$primary" = "$me" ] || echo "replicaof $primary 6379"
} >"$config.new"
mv "$config.new" "$config"
exec redis-server "$config" "$@"
