"""Concurrent clients, the history of their operations, and a checker of it, as in Jepsen.

May import: frame, testbed.
"""
