"""Istio's objects as strict models: pure, and whatever is not supported is refused by its path."""
