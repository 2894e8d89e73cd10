"""What the evidence promises, held to many simulated rollouts."""
