"""The subcommands of tallykv-rollout: arguments, exit codes, and what each subcommand connects.

May import: everything.
"""
