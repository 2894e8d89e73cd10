"""``plan.yaml``: what a rollout's directory says of itself; every field has a default."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..manifests.field_errors import Reason, field_error
from ..manifests.field_types import DnsLabel, Duration
from ..manifests.json_path import render_path
from ..manifests.strict_model import StrictModel
from .model import Strategy

NAME: Final = "plan.yaml"

Chance = Annotated[float, Field(gt=0, lt=1)]


class PlanInvalid(Exception):
    """A plan can't be carried out as it is written; the message says what to change."""


def _growing(value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if list(value) != sorted(set(value)):
        raise field_error(
            Reason.BAD_VALUE, "the latency edges do not grow", "list each once, the smallest first"
        )
    return value


class WrittenObjective(StrictModel):
    """See ``rollout.evidence.Objective``; ``slow`` are latency edges: bounds of buckets."""

    error_ratio: Chance = 0.01
    slow: Annotated[tuple[Duration, ...], Field(max_length=8), AfterValidator(_growing)] = (
        timedelta(milliseconds=25),
        timedelta(milliseconds=100),
        timedelta(milliseconds=500),
    )
    false_rollback: Chance = 0.01
    false_promotion: Chance = 0.05


class WrittenCheck(StrictModel):
    """A request to the release that comes, before anybody else meets it."""

    path: Annotated[str, Field(pattern="^/")] = "/"
    method: Literal["GET", "HEAD"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    status: Annotated[int, Field(ge=100, le=599)] = 200


class WrittenAsked(StrictModel):
    """Which of a rehearsal's requests ask for the release that comes, and how."""

    headers: Annotated[dict[str, str], Field(min_length=1)]
    share: Chance = 0.3


class PlanFile(StrictModel):
    """Directories are named relative to the file."""

    strategy: Literal["canary", "blue-green", "ab", "walk"] = "canary"
    #: In the cluster before the rollout.
    given: tuple[str, ...] = ()
    #: Applied before the first step, in this order; None stands for the numbered directories.
    make: tuple[str, ...] | None = None
    #: None stands for everything in steps/, the smallest number first.
    steps: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    stable: DnsLabel = "stable"
    canary: DnsLabel = "canary"
    step_time: Duration = timedelta(seconds=60)
    deadline: Duration = timedelta(hours=1)
    poll: Duration = timedelta(seconds=5)
    objective: WrittenObjective = WrittenObjective()
    checks: tuple[WrittenCheck, ...] = ()
    asked: WrittenAsked | None = None

    @model_validator(mode="after")
    def _agrees(self) -> PlanFile:
        if self.stable == self.canary:
            raise field_error(
                Reason.BAD_VALUE, "stable and canary are one subset", "name the two that differ"
            )
        if self.poll > self.step_time:
            raise field_error(
                Reason.BAD_DURATION, "poll is longer than stepTime", "look more often than that"
            )
        return self

    @property
    def kind(self) -> Strategy:
        return Strategy(self.strategy)


def read_plan_file(value: Any, file: str) -> PlanFile:
    """Read what a YAML file holds; raise PlanInvalid with a line for each mistake."""
    try:
        return PlanFile.model_validate_json(_as_json(value), strict=True)
    except ValidationError as error:
        lines = [
            f"{file}: {render_path(each['loc']) or 'the file'}: {_said(each)}"
            for each in error.errors(include_url=False)
        ]
        raise PlanInvalid("\n".join(lines)) from None


def _as_json(value: Any) -> str:
    return json.dumps({} if value is None else value)


def _said(error: Any) -> str:
    context = error.get("ctx") or {}
    if "remedy" in context:
        return f"{context['what']}; {context['remedy']}"
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    if error["type"] == "string_type":
        return f"{json.dumps(error['input'])} is no text; put it in quotes"
    return str(error["msg"])
