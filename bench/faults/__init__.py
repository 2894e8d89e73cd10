"""Fault injection: what happens to the clients' data when something breaks.

May import: consistency, frame, testbed.
"""
