#!/bin/sh
# Print the Secret kv-redis with new passwords for one of the components redis-…:
#   sh kustomize/redis/secret.sh sentinel | kubectl --namespace kv-prod create -f -
# To keep the service's password, set KV_PASSWORD.
set -eu

password() { od -An -N24 -vtx1 /dev/urandom | tr -d ' \n'; }
# Redis needs only the digests of the passwords.
digest() { printf %s "$1" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -d ' ' -f 1; }

mode=${1:-}
kv=${KV_PASSWORD:-$(password)}
# The keys and commands that svc/stores and its scripts use.
may="~kv:{???}:* ~ct:{???}:* ~op:{???}:* ~rl:{???}:* resetchannels &__redis__:invalidate -@all +get +mget +getrange +pttl +scan +time +info +eval +evalsha +set +incrby +pexpire +exists +del +unlink +client|tracking +subscribe"
case $mode in
  single) url=redis://kv:$kv@redis:6379 ;;
  sentinel) url=redis+sentinel://kv:$kv@sentinel-0.sentinel:26379,sentinel-1.sentinel:26379,sentinel-2.sentinel:26379/kv ;;
  cluster)
    url=redis+cluster://kv:$kv@redis-0.redis-headless:6379,redis-1.redis-headless:6379,redis-2.redis-headless:6379
    may="$may +asking +cluster|slots"
    ;;
  *) echo "usage: $0 single|sentinel|cluster" >&2 && exit 2 ;;
esac

# Nobody can log in as a user that is off. But Redis reads its file as the default user, and some
# versions silently skip changes of scripts that this user may not make. So it may do everything.
cat <<END
apiVersion: v1
kind: Secret
metadata:
  name: kv-redis
stringData:
  url: $url
  users.acl: |
    user default off resetpass ~* &* +@all
    user health on nopass resetchannels -@all +ping +role
    user kv on #$(digest "$kv") $may
END
[ "$mode" = single ] && exit

replica=$(password)
cat <<END
    user replica on #$(digest "$replica") resetchannels -@all +ping +psync +replconf
END
if [ "$mode" = sentinel ]; then
  sentinel=$(password)
  cat <<END
    user sentinel on #$(digest "$sentinel") resetchannels &__sentinel__:hello -@all +ping +info +role +publish +subscribe +multi +exec +slaveof +config|rewrite +client|setname +client|kill +script|kill
  sentinel.acl: |
    user default on nopass resetchannels -@all +ping +sentinel|masters +sentinel|get-master-addr-by-name
    user sentinel on #$(digest "$sentinel") resetchannels &__sentinel__:hello -@all +ping +publish +sentinel|is-master-down-by-addr +client|setname
  sentinel-auth.conf: |
    sentinel auth-user kv sentinel
    sentinel auth-pass kv $sentinel
    sentinel sentinel-user sentinel
    sentinel sentinel-pass $sentinel
END
else
  operator=$(password)
  cat <<END
    user operator on #$(digest "$operator") resetchannels -@all +ping +info +role +cluster
  operator-password: $operator
END
fi
cat <<END
  replication.conf: |
    masteruser replica
    masterauth $replica
END
