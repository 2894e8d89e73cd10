"""Strict models of Istio's objects, and the parts of Kubernetes' objects that routing needs.

May import: nothing of this project. Pure.
"""
