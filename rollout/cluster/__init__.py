"""A Kubernetes cluster: the weights of its VirtualService, and a rollout's state in a ConfigMap.

May import: manifests, plan, runner.
"""
