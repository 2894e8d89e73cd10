"""The Store port on Redis: one server, Sentinel, Cluster, or an embedded redis-server.

May import: child_process, domain, telemetry.
"""
