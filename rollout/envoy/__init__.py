"""Translates Istio's objects to Envoy's configuration, as istiod does.

May import: gateway_api, manifests. Pure.
"""
