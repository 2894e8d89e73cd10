"""What becomes of the clients' data when something breaks: faults, and a checker of the answers."""
