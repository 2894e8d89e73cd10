"""A finished rollout for people and for programs: what was decided, and by which numbers. Pure."""
