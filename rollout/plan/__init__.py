"""Builds a plan from a directory: its steps, the canary's share at each, and the objective.

May import: evidence, lint, manifests.
"""
