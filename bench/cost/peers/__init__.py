"""The same key-value service as users of other tools would write it, and a bare hello.

May import: frame, testbed.
"""
