"""The HTTP server: connections, listeners, the drain, worker processes.

May import: api, app, parent_death_signal, settings, stores, telemetry.
"""
