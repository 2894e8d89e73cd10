"""Simulated users, a module for each part of the API. All of them together are a mixed load.

May import: checks.
"""
