"""What the evidence for a release promises, compared with many simulated rollouts.

May import: frame.
"""
