"""Metrics, traces and logs of the service.

May import: nothing of this project.
"""
