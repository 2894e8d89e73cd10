"""Forecasts a rollout by simulation: how likely each verdict is, and how long it takes.

May import: evidence, plan, runner.

The real controller walks the plan, in simulated time and with simulated requests. So a forecast
holds for whatever decides a rollout, under the assumption that requests are independent.
"""
