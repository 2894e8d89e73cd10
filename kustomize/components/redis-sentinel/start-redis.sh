#!/bin/sh
# Start in the role that Sentinel gives this server: the primary, or a replica of it.
set -eu

host_of() { echo "redis-$1.redis-headless"; }
me=$(host_of "${POD_NAME##*-}")
config=/data/redis.conf

# Print the primary and the number of its replicas, from the first Sentinel that answers.
ask_sentinels() {
  for i in 0 1 2; do
    facts=$(timeout 2 redis-cli -h "sentinel-$i.sentinel" -p 26379 --raw sentinel masters 2>/dev/null || true)
    host=$(echo "$facts" | sed -n '/^ip$/{n;p;}')
    case $host in
      redis-*.redis-headless) echo "$host $(echo "$facts" | sed -n '/^num-slaves$/{n;p;}')" && return ;;
    esac
  done
}

# If no Sentinel answers, keep the last known role. At the very first start redis-0 is the primary.
if [ -s "$config" ]; then
  primary=$(sed -n 's/^replicaof \([^ ]*\) .*/\1/p' "$config")
  primary=${primary:-$me}
else
  primary=$(host_of 0)
fi
known=$(ask_sentinels)
# A primary that has lost its volume must not make its replicas delete their data: it waits until
# one of them is the primary.
while [ ! -s "$config" ] && [ "${known%% *}" = "$me" ] && [ "${known##* }" != 0 ]; do
  echo "no data here, and replicas that may have it: waiting for Sentinel to choose one of them"
  sleep 1
  known=$(ask_sentinels)
done
[ -z "$known" ] || primary=${known%% *}

# Sentinel rewrites the file after a failover. Only the primary's name is kept; the rest is new.
{
  echo "include /etc/redis/redis.conf"
  echo "include /etc/redis/failover.conf"
  echo "include /etc/redis-secret/replication.conf"
  echo "replica-announce-ip $me"
  [ "$primary" = "$me" ] || echo "replicaof $primary 6379"
} >"$config.new"
mv "$config.new" "$config"
exec redis-server "$config" "$@"
