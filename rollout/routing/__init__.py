"""What a mesh does with requests: assertions about it, classes of requests, differences.

May import: envoy, manifests. Pure.
"""
