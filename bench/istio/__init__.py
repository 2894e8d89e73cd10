"""Compares rollout/envoy with what Istio's own control plane programmed, fact by fact.

May import: frame.
"""
