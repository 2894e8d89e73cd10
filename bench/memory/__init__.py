"""Whether clients that send or ask for as much as they may keep the service in its memory.

May import: frame, testbed.
"""
