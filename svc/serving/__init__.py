"""The HTTP server: connections, listeners, the drain, worker processes.

May import: api, app, child_process, settings, stores, telemetry.
"""
