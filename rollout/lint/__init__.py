"""Checks manifests before a cluster gets them (``tallykv-rollout lint``).

May import: manifests.
"""
