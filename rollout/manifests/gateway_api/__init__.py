"""Models of the Gateway API's objects: Gateways, HTTPRoutes, GRPCRoutes, ReferenceGrants.

May import: manifests. Pure.
"""
