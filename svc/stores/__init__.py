"""Stores that fill the port, chosen by URL."""
