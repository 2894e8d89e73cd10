"""The subcommands of tallykv-rollout: arguments, exit codes, and what each subcommand connects.

May import: cluster, evidence, judge, lint, manifests, plan, prometheus, rehearsal, report, runner.
"""
