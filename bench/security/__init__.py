"""Whether the door holds: scopes and prefixes, hostile pages and clients, fuzz, rates over pods.

May import: frame, testbed.
"""
