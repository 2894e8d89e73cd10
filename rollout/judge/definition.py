"""What a comparison compares: its counters, its objective, its times. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..evidence.objective import Objective
from ..lint.yaml_documents import YamlInvalid, parse_documents
from ..manifests.field_errors import Reason, field_error
from ..manifests.field_types import Duration
from ..manifests.json_path import render_path
from ..manifests.names import is_kubernetes_label
from ..manifests.strict_model import StrictModel
from ..plan.plan_file import ObjectiveSpec, describe_error
from ..prometheus.counter_pair import CounterPair, build_pair_promql, is_selector
from ..prometheus.query import Query, ReleaseLabel, app_query, istio_query

_LONGEST_RUN: Final = 200


class DefinitionInvalid(Exception):
    """A comparison can't be used; the message has a line for each mistake."""


def _check_name(value: str) -> str:
    if not is_kubernetes_label(value):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is no name of a comparison',
            "use up to 63 lower-case letters, digits and -",
        )
    return value


def _check_selector(value: str) -> str:
    if not is_selector(value):
        raise field_error(
            Reason.BAD_VALUE,
            f"{json.dumps(value)} is no selector of a counter",
            'write it as orders_total{result="failed"}; no functions, no ranges',
        )
    return value


Name = Annotated[str, AfterValidator(_check_name)]
Selector = Annotated[str, AfterValidator(_check_selector)]
Text = Annotated[str, Field(min_length=1)]


class LabelSpec(StrictModel):
    """The metric label that names the release, and its value for each."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
    stable: Text
    canary: Text
    #: Of the pods that run the stable release once more, as young as the canary's.
    baseline: Text | None = None

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        if self.stable == self.canary:
            raise field_error(
                Reason.BAD_VALUE, "stable and canary have one value", "give each its own"
            )
        if self.baseline in {self.stable, self.canary}:
            raise field_error(
                Reason.BAD_VALUE, "baseline has the value of another release", "give it its own"
            )
        return self

    @property
    def release_label(self) -> ReleaseLabel:
        return ReleaseLabel(self.name, self.stable, self.canary, self.baseline)


class IstioSource(StrictModel):
    """What the callers of a Service saw: Istio's standard metrics."""

    namespace: Text
    service: Text
    label: LabelSpec


class AppSource(StrictModel):
    """What the releases' own pods counted: OpenTelemetry's histogram of requests."""

    namespace: Text
    label: LabelSpec


class CountersSource(StrictModel):
    """Any two counters."""

    total: Selector
    bad: Selector | None = None
    good: Selector | None = None
    label: LabelSpec

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.bad is None) == (self.good is None):
            raise field_error(
                Reason.BAD_VALUE, "exactly one of bad and good is needed", "give one of them"
            )
        return self


class SourceSpec(StrictModel):
    """Exactly one of the three."""

    istio: IstioSource | None = None
    app: AppSource | None = None
    counters: CountersSource | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum(each is not None for each in (self.istio, self.app, self.counters)) != 1:
            raise field_error(
                Reason.BAD_VALUE,
                "exactly one of istio, app and counters is needed",
                "give one of them",
            )
        return self


class ComparisonSpec(StrictModel):
    """A comparison as a request defines it.

    ``share`` is the ratio of requests that the canary should get, if it never changes. Samples
    older than ``stale`` are not used, and a release without requests for so long has no data.
    """

    source: SourceSpec
    objective: ObjectiveSpec = ObjectiveSpec()
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    interval: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=5)
    stale: Duration = timedelta(seconds=60)

    @model_validator(mode="after")
    def _check_fields_together(self) -> Self:
        if self.source.counters and self.objective.is_set("slow") and self.objective.slow:
            raise field_error(
                Reason.BAD_VALUE,
                "a pair of counters has no latencies",
                "remove slow",
                ("objective", "slow"),
            )
        if self.stale < 2 * self.interval:
            raise field_error(
                Reason.BAD_DURATION, "stale is less than two intervals", "choose a longer stale"
            )
        return self

    @property
    def evidence_objective(self) -> Objective:
        objective = self.objective
        if self.source.counters:
            objective = objective.model_copy(update={"slow": ()})
        return objective.objective

    def build_query(self) -> tuple[Query, str | None]:
        """Return the query, and its PromQL if it is not the query's usual one."""
        edges = self.evidence_objective.slow_seconds
        if istio := self.source.istio:
            label = istio.label.release_label
            return istio_query(istio.service, istio.namespace, label, edges), None
        if app := self.source.app:
            return app_query(app.namespace, app.label.release_label, edges), None
        counters = self.source.counters
        if counters is None:  # pragma: no cover - one of the three is there
            raise ValueError("no source")
        pair = CounterPair(
            counters.total, counters.bad, counters.good, counters.label.release_label
        )
        return pair.query, build_pair_promql(pair)


class RequestedComparison(ComparisonSpec):
    """The body of a request that creates or continues a comparison."""

    run: Annotated[str, Field(min_length=1, max_length=_LONGEST_RUN)] | None = None


class NamedComparison(ComparisonSpec):
    """A comparison of the configuration file."""

    name: Name
    #: The address of its Prometheus; None: that of the file, or of the command line.
    prometheus: Annotated[str, Field(pattern="^https?://")] | None = None


class JudgeFile(StrictModel):
    """The configuration file."""

    prometheus: Annotated[str, Field(pattern="^https?://")] | None = None
    comparisons: tuple[NamedComparison, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [each.name for each in self.comparisons]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise field_error(
                    Reason.BAD_VALUE,
                    f"two comparisons are called {name}",
                    "rename one",
                    ("comparisons", index, "name"),
                )
        return self


Model = TypeVar("Model", bound=StrictModel)


@dataclass(frozen=True, slots=True)
class _Mistake:
    path: str
    text: str


def parse_definition(model: type[Model], value: Any) -> Model:
    """Validate a JSON value; raise DefinitionInvalid with a line ``field: what`` for each mistake.

    ``model`` is ``RequestedComparison`` or ``ComparisonSpec``.
    """
    found = _validate(model, value)
    if not isinstance(found, ValidationError):
        return found
    raise DefinitionInvalid(
        "\n".join(f"{each.path or 'the body'}: {each.text}" for each in _mistakes(found))
    )


def parse_judge_file(text: str, file: str) -> JudgeFile:
    """Parse the configuration file.

    Raise DefinitionInvalid with a line ``file:line: field: what`` for each mistake.
    """
    try:
        documents = list(parse_documents(text))
    except YamlInvalid as error:
        where = file if error.line is None else f"{file}:{error.line}"
        raise DefinitionInvalid(f"{where}: {error}") from None
    if len(documents) != 1:
        raise DefinitionInvalid(f"{file}: it has {len(documents)} documents; it must have one")
    [document] = documents
    found = _validate(JudgeFile, document.value)
    if not isinstance(found, ValidationError):
        return found
    raise DefinitionInvalid(
        "\n".join(
            f"{file}:{document.line_of(each.path)}: {each.path or 'the file'}: {each.text}"
            for each in _mistakes(found)
        )
    )


def _validate(model: type[Model], value: Any) -> Model | ValidationError:
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return error


def _mistakes(error: ValidationError) -> Iterator[_Mistake]:
    for each in error.errors(include_url=False):
        context = each.get("ctx") or {}
        yield _Mistake(render_path((*each["loc"], *context.get("at", ()))), describe_error(each))
