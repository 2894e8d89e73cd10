"""The HTTP API: each handler parses the request, calls the store once, and renders the response.

May import: domain, telemetry.
"""
