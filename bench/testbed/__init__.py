"""Servers under test, load generators, requests to send, and data that the stores hold.

May import: frame.
"""
