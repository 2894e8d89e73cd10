"""The gates of a plan: who is asked before a step, before the promotion, or all along. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..manifests.field_errors import Reason, field_error
from ..manifests.field_types import Duration
from ..manifests.strict_model import StrictModel

Text = Annotated[str, Field(min_length=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Policy = Literal["roll-back", "hold"]


class HttpGate(StrictModel):
    """A request: 200 goes on, 403 denies, every other status is asked again.

    ``POST`` sends what is asked for as JSON.
    """

    url: Annotated[str, Field(pattern="^https?://")]
    method: Literal["GET", "POST"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)


class PrometheusGate(StrictModel):
    """A query with one sample: it goes on while the sample lies within the bounds."""

    query: Text
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise field_error(Reason.BAD_VALUE, "there is no bound", "give min, max or both")
        return self


class ReleaseLabelSpec(StrictModel):
    """The metric label that names the release, and its two values."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
    stable: Text
    canary: Text


class CompareGate(StrictModel):
    """Two counters of both releases, compared with the evidence of the rollout.

    It denies when the canary is proven to be worse.
    """

    total: Text
    bad: Text | None = None
    good: Text | None = None
    label: ReleaseLabelSpec
    error_ratio: Probability = 0.01
    false_rollback: Probability = 0.01

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.bad is None) == (self.good is None):
            raise field_error(
                Reason.BAD_VALUE, "exactly one of bad and good is needed", "give one of them"
            )
        return self


class GateSpec(StrictModel):
    """Somebody who is asked, and what follows from the answers.

    ``denials`` is how many answers in a row must deny; ``failures`` how many questions in a row may
    fail before ``failed`` counts.
    """

    name: Text
    when: Literal["step", "promotion", "always"] = "step"
    #: Only before these steps; for ``resume``, at these steps. Empty: all.
    steps: tuple[str, ...] = ()
    denied: Policy = "roll-back"
    denials: Annotated[int, Field(ge=1)] = 1
    failed: Literal["hold", "roll-back", "ignore"] = "hold"
    failures: Annotated[int, Field(ge=1)] = 3
    interval: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=10)
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=10)
    #: Whether it ends the plan's own pauses, as ``tallykv-rollout resume`` does.
    resume: bool = False
    http: HttpGate | None = None
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    prometheus: PrometheusGate | None = None
    compare: CompareGate | None = None

    @model_validator(mode="after")
    def _check_fields_together(self) -> Self:
        if sum(each is not None for each in self._kinds) != 1:
            raise field_error(
                Reason.BAD_VALUE,
                "exactly one of http, command, prometheus and compare is needed",
                "give one of them",
            )
        if self.compare is not None and self.when != "always":
            raise field_error(
                Reason.BAD_VALUE, "compare counts from the start on", "give it when: always"
            )
        if self.resume and self.when != "step":
            raise field_error(
                Reason.BAD_VALUE, "only a gate of steps can end pauses", "give it when: step"
            )
        return self

    @property
    def _kinds(self) -> tuple[object, ...]:
        return self.http, self.command, self.prometheus, self.compare
