"""Asks a service of the same container for its health: what HEALTHCHECK runs.

May import: nothing of this project.
"""
