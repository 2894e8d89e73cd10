"""The subcommands that move a rollout: their flags, and what they wire together."""
