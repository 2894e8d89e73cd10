"""A rollout on this machine: a real Envoy, a Redis, a process for each pod, traffic."""
