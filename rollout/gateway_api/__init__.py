"""Translates the Gateway API's objects to Istio's, as istiod does before it makes routes of them.

May import: manifests. Pure.
"""
