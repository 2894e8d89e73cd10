"""Parse a JSON report back into what it was rendered from."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from rollout.report.plan_summary import PlanSummary
from rollout.report.samples import Sample
from rollout.runner.events import Event
from tests.rollout.report.simulated_rollout import SimulatedRollout


def read_json_report(text: str) -> SimulatedRollout:
    """Raise ValidationError if an event, a sample or the plan is invalid."""
    document = json.loads(text)
    return SimulatedRollout(
        TypeAdapter(list[Event]).validate_json(json.dumps(document["events"])),
        TypeAdapter(list[Sample]).validate_json(json.dumps(document["samples"])),
        TypeAdapter(PlanSummary).validate_json(json.dumps(document["about"])),
    )
