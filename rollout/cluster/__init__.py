"""A cluster as the place where routes are put in force and where a rollout's state is kept."""
