"""Show a rollout: as one HTML page, as JSON, and live in the terminal.

May import: evidence, plan, runner.
"""
