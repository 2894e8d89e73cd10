"""A rollout on this machine: a real Envoy, Redis, a process for each pod, and generated load.

May import: envoy, evidence, manifests, plan, report, runner.
"""
