"""Whether ``make test`` passes every time, on a machine whose cores are busy.

May import: frame.
"""
