"""What the service tells of itself; imports none of the other layers."""
