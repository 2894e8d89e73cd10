"""Serves verdicts over HTTP, for releases that another controller rolls out.

May import: evidence, lint, manifests, plan, prometheus, runner.

``engine.py`` is the only module that knows how evidence is computed.
"""
