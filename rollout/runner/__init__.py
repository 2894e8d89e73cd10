"""Runs a plan step by step: reads evidence, decides, changes traffic, saves state, records events.

May import: evidence, plan.

Read ``controller.py`` for the loop, and ``decisions.py`` for when a rollout advances, holds, is
promoted or is rolled back.
"""
