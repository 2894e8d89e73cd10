"""What Flagger and Argo Rollouts would have decided, from the series that Prometheus still has.

May import: lint, manifests, plan.

Written from their documentation. What would change the answer and is not known here is refused.
"""
