"""Sends requests through a real Envoy, and says which route and which pods they reached.

May import: envoy, lint, manifests, rehearsal, routing.
"""
