"""What the API server of Kubernetes refuses besides what the schemas of its kinds say.

May import: manifests. Pure.
"""
