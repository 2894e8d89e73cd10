"""The subcommands of tallykv-rollout: arguments, exit codes, and what each subcommand connects.

May import: cluster, envoy, evidence, lint, manifests, plan, prometheus, rehearsal, report, runner.
"""
