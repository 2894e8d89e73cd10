"""What one request costs, beside other services.

May import: frame, testbed.
"""
