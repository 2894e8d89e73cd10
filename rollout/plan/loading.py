"""Loads a rollout's directory: build the manifests, lint them, and return the plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..lint.findings import Severity
from ..lint.kustomize import CouldNotRun, find_kustomization
from ..lint.linter import Bundle, Report, lint
from ..lint.rendering import render_text
from ..lint.resource import Resource
from ..lint.resource_parser import ResourceParser
from ..lint.schemas import Schemas
from ..lint.sources import collect, collect_steps
from ..lint.yaml_documents import YamlInvalid, parse_documents
from ..manifests.weighted_rules import Routes
from .canary_shares import baseline_shares, canary_shares
from .model import CanaryRequests, Plan, SmokeTest, Step, Strategy
from .plan_file import NAME, PlanFile, PlanInvalid, parse_plan_file
from .releases import Releases

_NUMBER: Final = re.compile(r"\d+")
#: Directories with these prefixes are applied before the steps; 4-promote and 9-remove after them.
_SETUP_PREFIXES: Final = ("1-", "2-", "3-")


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan, and the objects that are in the cluster before its first step.

    ``resources`` excludes the object that the steps replace. ``warnings`` name deprecated
    fields of the plan file.
    """

    plan: Plan
    resources: tuple[Resource, ...]
    warnings: tuple[str, ...] = ()


def load_plan(
    path: str, *, prerequisites: Sequence[str] = (), namespace: str = "default"
) -> LoadedPlan:
    """Load the plan of a directory, or of the plan file in it.

    ``prerequisites`` replaces those of the file; ``namespace`` is for objects that name none. Raise
    PlanInvalid if the plan can't be carried out, CouldNotRun if it can't be read.
    """
    file = Path(path)
    directory = file if file.is_dir() else file.parent
    spec, warnings = _read_plan_file(file / NAME if file.is_dir() else file)
    setup = _setup_directories(directory, spec)
    steps = _step_directories(directory, spec)
    before = list(prerequisites) or [str(directory / each) for each in spec.prerequisites]
    bundles = collect_steps([str(each) for each in (*setup, *steps)])
    known = collect(before)
    parser = ResourceParser(Schemas(None), namespace)
    refuse_errors(lint(bundles, parser, existing=known, plan=True))
    resources = [
        resources_of(parser, each) for each in (*known, *bundles[: len(bundles) - len(steps)])
    ]
    services = {
        step.name: _routes(step.name, resources_of(parser, bundle))
        for step, bundle in zip(steps, bundles[-len(steps) :], strict=True)
    }
    plan = _build_plan(directory, spec, services)
    routes = next(iter(services.values())).id
    # A later object replaces an earlier one with the same id, as kubectl apply would.
    cluster = {each.id: each for some in resources for each in some}
    cluster.pop(routes, None)
    return LoadedPlan(plan, tuple(cluster.values()), warnings)


def _read_plan_file(file: Path) -> tuple[PlanFile, tuple[str, ...]]:
    if not file.is_file():
        if file.name != NAME or not file.parent.is_dir():
            raise CouldNotRun(f"{file} does not exist")
        return PlanFile(), ()
    try:
        documents = [each.value for each in parse_documents(file.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError, YamlInvalid) as error:
        raise PlanInvalid(f"{file} can't be read: {error}") from None
    if len(documents) > 1:
        raise PlanInvalid(f"{file} holds {len(documents)} documents; a plan file holds one")
    return parse_plan_file(documents[0] if documents else {}, str(file))


def _setup_directories(directory: Path, spec: PlanFile) -> list[Path]:
    if spec.setup is not None:
        return [directory / each for each in spec.setup]
    return sorted(
        each
        for each in directory.iterdir()
        if each.is_dir() and each.name.startswith(_SETUP_PREFIXES) and find_kustomization(each)
    )


def _step_directories(directory: Path, spec: PlanFile) -> list[Path]:
    if spec.steps is not None:
        return [directory / each for each in spec.steps]
    folder = directory / "steps"
    found = [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
    if len(found) < 2:
        raise PlanInvalid(
            f"{directory} has no steps: create a directory for each step under steps/, named by the"
            f" canary's percentage, or list the steps in {directory / NAME}. To rehearse manifests"
            " without steps, name the releases with --stable and --canary"
        )
    return sorted(found, key=_number)


def _number(path: Path) -> tuple[int, str]:
    number = _NUMBER.match(path.name)
    return (int(number[0]) if number else 0), path.name


def refuse_errors(report: Report) -> None:
    """Raise PlanInvalid with the errors of a report, if it has some."""
    errors = tuple(each for each in report.findings if each.severity is Severity.ERROR)
    if errors:
        raise PlanInvalid(
            render_text(Report(errors, report.objects))
            + "nothing was started; tallykv-rollout lint reports the same"
        )


def resources_of(parser: ResourceParser, bundle: Bundle) -> tuple[Resource, ...]:
    """Return the objects of a bundle."""
    return tuple(each for text in bundle.texts for each in parser.parse(text)[0])


def _routes(step: str, resources: Sequence[Resource]) -> Resource:
    services = [each for each in resources if isinstance(each.istio_object, Routes)]
    if len(services) != 1 or len(resources) != 1:
        named = ", ".join(f"{each.kind}/{each.name}" for each in resources) or "nothing"
        raise PlanInvalid(
            f"{step}: a step must be one VirtualService, HTTPRoute or GRPCRoute and nothing else;"
            f" it is {named}"
        )
    return services[0]


def _build_plan(directory: Path, spec: PlanFile, services: Mapping[str, Resource]) -> Plan:
    if len({each.id for each in services.values()}) > 1:
        names = ", ".join(dict.fromkeys(f"{it.kind} {it.name}" for it in services.values()))
        raise PlanInvalid(f"the steps change different objects: {names}")
    manifests = {name: _manifest(each) for name, each in services.items()}
    shares: tuple[float | None, ...] = (None,) * len(manifests)
    beside = (0.0,) * len(manifests)
    if spec.kind is not Strategy.WALK:
        namespace = next(iter(manifests.values())).namespace
        releases = Releases(spec.stable, spec.canary, namespace, spec.baseline)
        shares = canary_shares(manifests, releases)
        beside = baseline_shares(manifests, releases)
    steps = tuple(
        Step(name, share, manifests[name], services[name].document, baseline_share)
        for name, share, baseline_share in zip(services, shares, beside, strict=True)
    )
    return plan_of(directory.resolve().name, spec, steps)


def plan_of(name: str, spec: PlanFile, steps: tuple[Step, ...]) -> Plan:
    """Return a plan with the fields of a plan file and these steps."""
    return Plan(
        name=name,
        strategy=spec.kind,
        stable=spec.stable,
        canary=spec.canary,
        baseline=spec.baseline,
        steps=steps,
        objective=spec.objective.objective,
        step_seconds=spec.step_time.total_seconds(),
        deadline_seconds=spec.deadline.total_seconds(),
        poll_seconds=spec.poll.total_seconds(),
        warm_up_seconds=spec.warm_up.total_seconds(),
        smoke_tests=tuple(
            SmokeTest(each.method, each.path, tuple(each.headers.items()), each.status)
            for each in spec.smoke_tests
        ),
        canary_requests=None
        if spec.requests is None
        else CanaryRequests(tuple(spec.requests.headers.items()), spec.requests.share),
    )


def _manifest(resource: Resource) -> Routes:
    if not isinstance(resource.istio_object, Routes):  # pragma: no cover - chosen as one
        raise PlanInvalid(f"{resource.name} has no routes")
    return resource.istio_object
