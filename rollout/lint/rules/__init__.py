"""The lint rules, one module per theme; table.py lists them and explains how to add one.

May import: lint, manifests. Pure.
"""
