"""The file ``plan.yaml`` of a rollout's directory; every field has a default. Pure."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..evidence.objective import Objective
from ..manifests.field_errors import Reason, field_error
from ..manifests.field_types import Duration
from ..manifests.json_path import render_path
from ..manifests.names import is_domain, is_label
from ..manifests.strict_model import StrictModel
from .gate_spec import GateSpec
from .model import Strategy, WorkloadNames
from .notify_spec import NotifySpec

NAME: Final = "plan.yaml"

#: Old names of fields, and their present names. The old names are read for one more release.
_RENAMED: Final = {
    "given": "prerequisites",
    "make": "setup",
    "checks": "smokeTests",
    "asked": "requests",
}

Probability = Annotated[float, Field(gt=0, lt=1)]


class PlanInvalid(Exception):
    """A plan can't be carried out; the message says what to change."""


def _increasing(value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if list(value) != sorted(set(value)):
        raise field_error(
            Reason.BAD_VALUE,
            "the latency thresholds do not increase",
            "list each once, the smallest first",
        )
    return value


#: Latency thresholds.
Thresholds = Annotated[tuple[Duration, ...], Field(max_length=16), AfterValidator(_increasing)]


def _check_release(value: str) -> str:
    if not (is_label(value) or is_domain(value)):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not the name of a subset or a Service',
            "use letters, digits and -, for a Service also its full host",
        )
    return value


#: A subset, or a Service by its name or its full host.
ReleaseName = Annotated[str, AfterValidator(_check_release)]


class ObjectiveSpec(StrictModel):
    """See ``rollout.evidence.Objective``. ``slow`` are the latency thresholds.

    Each threshold must be a bucket boundary of the latency histogram.
    """

    error_ratio: Probability = 0.01
    slow: Annotated[tuple[Duration, ...], Field(max_length=16), AfterValidator(_increasing)] = (
        tuple(timedelta(seconds=edge) for edge in Objective().slow_seconds)
    )
    false_rollback: Probability = 0.01
    false_promotion: Probability = 0.05

    @property
    def objective(self) -> Objective:
        """Return the objective in seconds."""
        return Objective(
            error_ratio=self.error_ratio,
            slow_seconds=tuple(each.total_seconds() for each in self.slow),
            false_rollback=self.false_rollback,
            false_promotion=self.false_promotion,
        )


class SmokeTestSpec(StrictModel):
    """A request to the canary before other clients reach it."""

    path: Annotated[str, Field(pattern="^/")] = "/"
    method: Literal["GET", "HEAD"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    status: Annotated[int, Field(ge=100, le=599)] = 200


class RequestsSpec(StrictModel):
    """Which of a rehearsal's requests select the canary: ``share`` of them, by these headers."""

    headers: Annotated[dict[str, str], Field(min_length=1)]
    share: Probability = 0.3


class StepObjectiveSpec(StrictModel):
    """What replaces the plan's objective at one step."""

    error_ratio: Probability | None = None
    false_rollback: Probability | None = None
    false_promotion: Probability | None = None

    def applied_to(self, objective: Objective) -> Objective:
        """Return the objective of the step."""
        given = self.model_dump(exclude_none=True, by_alias=False)
        return dataclasses.replace(objective, **given)


class ConditionSpec(StrictModel):
    """What one step asks for; ``step`` is the name of its directory."""

    step: str
    time: Duration | None = None
    requests: Annotated[int, Field(ge=0)] = 0
    pause: bool = False
    objective: StepObjectiveSpec | None = None


#: A Deployment, as kubectl names it.
DeploymentName = Annotated[str, Field(pattern="^Deployment/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class WorkloadsSpec(StrictModel):
    """The Deployments whose images and pods the rollout changes."""

    stable: DeploymentName
    canary: DeploymentName

    @model_validator(mode="after")
    def _check_two(self) -> WorkloadsSpec:
        if self.stable == self.canary:
            raise field_error(Reason.BAD_VALUE, "stable and canary are one Deployment", "name two")
        return self

    @property
    def names(self) -> WorkloadNames:
        """Return the names without their kind."""
        return WorkloadNames(self.stable.partition("/")[2], self.canary.partition("/")[2])


class PlanFile(StrictModel):
    """The fields of ``plan.yaml``. Directories are relative to the file."""

    strategy: Literal["canary", "blue-green", "ab", "walk"] = "canary"
    #: Manifests of what is in the cluster before the rollout.
    prerequisites: tuple[str, ...] = ()
    #: Directories to apply before the first step, in this order; None: the numbered directories.
    setup: tuple[str, ...] | None = None
    #: None: the directories in steps/, the smallest number first.
    steps: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    #: Subsets, or Services.
    stable: ReleaseName = "stable"
    canary: ReleaseName = "canary"
    baseline: ReleaseName | None = None
    step_time: Duration = timedelta(seconds=60)
    deadline: Duration = timedelta(hours=1)
    poll: Duration = timedelta(seconds=2)
    warm_up: Duration = timedelta(seconds=60)
    objective: ObjectiveSpec = ObjectiveSpec()
    smoke_tests: tuple[SmokeTestSpec, ...] = ()
    requests: RequestsSpec | None = None
    workloads: WorkloadsSpec | None = None
    conditions: tuple[ConditionSpec, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    notify: tuple[NotifySpec, ...] = ()

    @model_validator(mode="after")
    def _check_fields_together(self) -> PlanFile:
        if self.stable == self.canary:
            raise field_error(
                Reason.BAD_VALUE,
                "stable and canary are one subset or Service",
                "name two",
            )
        if self.baseline in {self.stable, self.canary}:
            raise field_error(
                Reason.BAD_VALUE,
                f"baseline is the same subset or Service as another release: {self.baseline}",
                "give the baseline pods of its own",
            )
        if len({each.name for each in self.gates}) < len(self.gates):
            raise field_error(
                Reason.BAD_VALUE, "two gates have one name", "give each a name of its own"
            )
        names = [each.step for each in self.conditions]
        if len(set(names)) < len(names):
            raise field_error(
                Reason.BAD_VALUE, "conditions name a step twice", "write one entry for each step"
            )
        if self.poll > self.step_time:
            raise field_error(
                Reason.BAD_DURATION, "poll is longer than stepTime", "choose a shorter poll"
            )
        return self

    @property
    def kind(self) -> Strategy:
        return Strategy(self.strategy)


def parse_plan_file(value: Any, file: str) -> tuple[PlanFile, tuple[str, ...]]:
    """Validate the value of a YAML document. Return it with a warning for each deprecated field.

    ``file`` is the name for messages. Raise PlanInvalid with a line for each mistake.
    """
    fields = {} if value is None else value
    renamed: dict[str, str] = {}
    if isinstance(fields, dict):
        renamed = {new: old for old, new in _RENAMED.items() if old in fields}
        if both := [
            f"{file}: {old}: this is the old name of {new}, which is there too; remove {old}"
            for new, old in renamed.items()
            if new in fields
        ]:
            raise PlanInvalid("\n".join(both))
        fields = {_RENAMED.get(name, name): each for name, each in fields.items()}
    warnings = tuple(
        f"{file}: {old} is deprecated; rename it to {new}" for new, old in renamed.items()
    )
    return _validate(fields, file, renamed), warnings


def _validate(value: Any, file: str, renamed: dict[str, str]) -> PlanFile:
    try:
        return PlanFile.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        lines = [
            f"{file}: {_field(each['loc'], renamed)}: {describe_error(each)}"
            for each in error.errors(include_url=False)
        ]
        raise PlanInvalid("\n".join(lines)) from None


def _field(loc: tuple[int | str, ...], renamed: dict[str, str]) -> str:
    """Return the path of a field with the name that the file uses."""
    if not loc:
        return "the file"
    first, *rest = loc
    return render_path((renamed.get(str(first), first), *rest))


def describe_error(error: Any) -> str:
    """Return one sentence about an error that pydantic found in a field."""
    context = error.get("ctx") or {}
    if "remedy" in context:
        return f"{context['what']}; {context['remedy']}"
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    if error["type"] == "string_type":
        return f"{json.dumps(error['input'])} is not a text; put it in quotes"
    return str(error["msg"])
