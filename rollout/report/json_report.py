"""The report for programs: the verdict first, then everything it was drawn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ..runner.events import Event
from .plan_summary import PlanSummary
from .samples import Sample
from .timeline import headline, sentence, tell

_EVENTS: Final = TypeAdapter(list[Event])
_SAMPLES: Final = TypeAdapter(list[Sample])
_ABOUT: Final = TypeAdapter(PlanSummary)


class DocumentInvalid(Exception):
    """It is no report of ours; the message says where."""


@dataclass(frozen=True, slots=True)
class Record:
    events: tuple[Event, ...]
    samples: tuple[Sample, ...]
    about: PlanSummary


def render_json(events: Sequence[Event], samples: Sequence[Sample], about: PlanSummary) -> str:
    """Render one object; raise ValueError without events."""
    story = tell(events)
    document: dict[str, Any] = {
        "verdict": None if story.verdict is None else story.verdict.value,
        "headline": headline(story),
        "sentence": sentence(story, about),
        "about": _ABOUT.dump_python(about, mode="json"),
        "events": _EVENTS.dump_python(list(events), mode="json", exclude_defaults=True),
        "samples": _SAMPLES.dump_python(list(samples), mode="json"),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def parse_json(text: str) -> Record:
    """Read a report back; raise DocumentInvalid."""
    try:
        document = json.loads(text)
        return Record(
            tuple(_EVENTS.validate_json(json.dumps(document["events"]))),
            tuple(_SAMPLES.validate_json(json.dumps(document["samples"]))),
            _ABOUT.validate_json(json.dumps(document["about"])),
        )
    except (ValidationError, ValueError, TypeError, KeyError) as error:
        raise DocumentInvalid(f"this is no report of a rollout: {error}") from error
