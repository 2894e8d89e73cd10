"""Watches: what watchers know after faults, and what watching costs.

May import: consistency, faults, frame, testbed.
"""
