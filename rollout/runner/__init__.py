"""Walks a plan: decides by the evidence, moves the traffic, remembers, and tells what happened."""
