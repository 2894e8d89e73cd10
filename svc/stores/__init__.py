"""The Store port on Redis: one server, Sentinel, Cluster, or an embedded redis-server.

May import: domain, parent_death_signal, telemetry.
"""
