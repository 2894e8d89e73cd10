"""Istio's objects to Envoy's configuration, as istiod does it: pure."""
