"""The report as JSON: the verdict first, then all events and samples. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from ..runner.events import Event
from .plan_summary import PlanSummary
from .samples import Sample
from .timeline import build_timeline
from .verdict_text import headline, summary

_EVENTS: Final = TypeAdapter(list[Event])
_SAMPLES: Final = TypeAdapter(list[Sample])
_PLAN: Final = TypeAdapter(PlanSummary)


def render_json(events: Sequence[Event], samples: Sequence[Sample], plan: PlanSummary) -> str:
    """Render one JSON object; raise ValueError without events."""
    timeline = build_timeline(events)
    document: dict[str, Any] = {
        "verdict": None if timeline.verdict is None else timeline.verdict.value,
        "headline": headline(timeline),
        "sentence": summary(timeline, plan),
        "about": _PLAN.dump_python(plan, mode="json"),
        "events": _EVENTS.dump_python(list(events), mode="json", exclude_defaults=True),
        "samples": _SAMPLES.dump_python(list(samples), mode="json"),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
