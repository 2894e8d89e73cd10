"""A rollout on this machine: a real Envoy, Redis, a process for each pod, and generated load.

May import: envoy, evidence, gateway_api, manifests, plan, report, runner.
"""
