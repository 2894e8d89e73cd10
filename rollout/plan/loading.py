"""Read a rollout's directory: build it, lint it, and make the plan of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..evidence.objective import Objective
from ..lint.findings import Severity
from ..lint.kustomize import CouldNotRun, find_kustomization
from ..lint.linter import Bundle, Report, lint
from ..lint.rendering import render_text
from ..lint.resource import Resource
from ..lint.resource_parser import ResourceParser
from ..lint.schemas import Schemas
from ..lint.sources import collect, collect_steps
from ..lint.yaml_documents import YamlInvalid, parse_documents
from ..manifests.virtual_service import VirtualService
from .model import Asked, Check, Plan, Step, Strategy
from .plan_file import NAME, PlanFile, PlanInvalid, read_plan_file
from .weights import shares_of

_NUMBER: Final = re.compile(r"\d+")
#: Numbered so, directories come before the steps; 4-promote and 9-remove come after them.
_MAKING: Final = ("1-", "2-", "3-")


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and the objects that the cluster has when its first step is due.

    ``resources`` are without the VirtualService that the steps replace.
    """

    plan: Plan
    resources: tuple[Resource, ...]


def load_plan(path: str, *, given: Sequence[str] = (), namespace: str = "default") -> Planned:
    """Load a directory, or the plan file in it; ``given`` replaces the file's own.

    Raise PlanInvalid for what can't be carried out, CouldNotRun for what can't be read.
    """
    file = Path(path)
    directory = file if file.is_dir() else file.parent
    written = _written(file / NAME if file.is_dir() else file)
    made = _made(directory, written)
    steps = _steps(directory, written)
    before = list(given) or [str(directory / each) for each in written.given]
    bundles = collect_steps([str(each) for each in (*made, *steps)])
    known = collect(before)
    parser = ResourceParser(Schemas(None), namespace)
    _refuse_errors(lint(bundles, parser, existing=known, plan=True))
    resources = [
        _resources(parser, each) for each in (*known, *bundles[: len(bundles) - len(steps)])
    ]
    services = {
        step.name: _virtual_service(step.name, _resources(parser, bundle))
        for step, bundle in zip(steps, bundles[-len(steps) :], strict=True)
    }
    plan = _plan(directory, written, services)
    routes = next(iter(services.values())).id
    cluster = {each.id: each for some in resources for each in some}
    cluster.pop(routes, None)
    return Planned(plan, tuple(cluster.values()))


def _written(file: Path) -> PlanFile:
    if not file.is_file():
        if file.name != NAME or not file.parent.is_dir():
            raise CouldNotRun(f"{file} does not exist")
        return PlanFile()
    try:
        documents = [each.value for each in parse_documents(file.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError, YamlInvalid) as error:
        raise PlanInvalid(f"{file} can't be read: {error}") from None
    if len(documents) > 1:
        raise PlanInvalid(f"{file} holds {len(documents)} documents; a plan is one")
    return read_plan_file(documents[0] if documents else {}, str(file))


def _made(directory: Path, written: PlanFile) -> list[Path]:
    if written.make is not None:
        return [directory / each for each in written.make]
    return sorted(
        each
        for each in directory.iterdir()
        if each.is_dir() and each.name.startswith(_MAKING) and find_kustomization(each)
    )


def _steps(directory: Path, written: PlanFile) -> list[Path]:
    if written.steps is not None:
        return [directory / each for each in written.steps]
    folder = directory / "steps"
    found = [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
    if len(found) < 2:
        raise PlanInvalid(
            f"{directory} has no steps: make a directory for each under steps/, numbered by the"
            f" canary's share, or name them in {directory / NAME}"
        )
    return sorted(found, key=_number)


def _number(path: Path) -> tuple[int, str]:
    number = _NUMBER.match(path.name)
    return (int(number[0]) if number else 0), path.name


def _refuse_errors(report: Report) -> None:
    errors = tuple(each for each in report.findings if each.severity is Severity.ERROR)
    if errors:
        raise PlanInvalid(
            render_text(Report(errors, report.objects))
            + "nothing was started; tallykv-rollout lint says the same"
        )


def _resources(parser: ResourceParser, bundle: Bundle) -> tuple[Resource, ...]:
    return tuple(each for text in bundle.texts for each in parser.parse(text)[0])


def _virtual_service(step: str, resources: Sequence[Resource]) -> Resource:
    services = [each for each in resources if isinstance(each.istio_object, VirtualService)]
    if len(services) != 1 or len(resources) != 1:
        named = ", ".join(f"{each.kind}/{each.name}" for each in resources) or "nothing"
        raise PlanInvalid(f"{step}: a step is one VirtualService and nothing else; it is {named}")
    return services[0]


def _plan(directory: Path, written: PlanFile, services: Mapping[str, Resource]) -> Plan:
    if len({each.id for each in services.values()}) > 1:
        names = ", ".join(dict.fromkeys(each.name for each in services.values()))
        raise PlanInvalid(f"the steps are of different VirtualServices: {names}")
    manifests = {name: _manifest(each) for name, each in services.items()}
    shares: tuple[float | None, ...] = (None,) * len(manifests)
    if written.kind is not Strategy.WALK:
        shares = shares_of(manifests, stable=written.stable, canary=written.canary)
    objective = written.objective
    return Plan(
        name=directory.resolve().name,
        strategy=written.kind,
        stable=written.stable,
        canary=written.canary,
        steps=tuple(
            Step(name, share, manifests[name], services[name].document)
            for name, share in zip(services, shares, strict=True)
        ),
        objective=Objective(
            error_ratio=objective.error_ratio,
            slow_seconds=tuple(each.total_seconds() for each in objective.slow),
            false_rollback=objective.false_rollback,
            false_promotion=objective.false_promotion,
        ),
        step_seconds=written.step_time.total_seconds(),
        deadline_seconds=written.deadline.total_seconds(),
        poll_seconds=written.poll.total_seconds(),
        checks=tuple(
            Check(each.method, each.path, tuple(each.headers.items()), each.status)
            for each in written.checks
        ),
        asked=None
        if written.asked is None
        else Asked(tuple(written.asked.headers.items()), written.asked.share),
    )


def _manifest(resource: Resource) -> VirtualService:
    if not isinstance(resource.istio_object, VirtualService):  # pragma: no cover - chosen as one
        raise PlanInvalid(f"{resource.name} is no VirtualService")
    return resource.istio_object
