"""What one request costs, beside other services."""
