"""Concurrent clients, the history of what they saw, and a checker of it."""
