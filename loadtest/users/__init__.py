"""Simulated users, a module for each part of the service; all of them together are the mix."""
