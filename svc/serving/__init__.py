"""The HTTP server: connections, listeners, the drain, worker processes.

May import: api, app, domain, parent_death_signal, setting_kinds, settings, stores, telemetry.
"""
