"""Servers under test, the load on them, and the data that they hold."""
