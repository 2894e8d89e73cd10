"""The door: who may come in, and do what.

May import: api, domain, telemetry.
"""
