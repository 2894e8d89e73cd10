"""A Kubernetes cluster: the weights of its routes, a rollout's state, and the lease of its runner.

May import: evidence, manifests, plan, runner.
"""
