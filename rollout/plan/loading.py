"""Loads a rollout's directory: build the manifests, lint them, and return the plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
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
from .model import CanaryRequests, Plan, RouteObject, SmokeTest, Step, StepConditions, Strategy
from .plan_file import NAME, PlanFile, PlanInvalid, parse_plan_file
from .releases import Releases

_NUMBER: Final = re.compile(r"\d+")
#: Directories with these prefixes are applied before the steps; 4-promote and 9-remove after them.
_SETUP_PREFIXES: Final = ("1-", "2-", "3-")


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan, and the objects that are in the cluster before its first step.

    ``resources`` excludes the objects that the steps replace. ``warnings`` name deprecated
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
    names = [each.stem if each.is_file() else each.name for each in steps]
    services = {
        name: _routes(name, resources_of(parser, bundle))
        for name, bundle in zip(names, bundles[-len(steps) :], strict=True)
    }
    plan = _build_plan(directory, spec, services)
    # A later object replaces an earlier one with the same id, as kubectl apply would.
    cluster = {each.id: each for some in resources for each in some}
    for routes in next(iter(services.values())):
        cluster.pop(routes.id, None)
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


def _routes(step: str, resources: Sequence[Resource]) -> tuple[Resource, ...]:
    if not resources or not all(isinstance(each.istio_object, Routes) for each in resources):
        named = ", ".join(f"{each.kind}/{each.name}" for each in resources) or "nothing"
        raise PlanInvalid(
            f"{step}: a step must be VirtualServices, HTTPRoutes or GRPCRoutes and nothing else;"
            f" it is {named}"
        )
    return tuple(resources)


def _build_plan(
    directory: Path, spec: PlanFile, services: Mapping[str, tuple[Resource, ...]]
) -> Plan:
    objects = _by_object(services)
    shares: tuple[float | None, ...] = (None,) * len(services)
    beside = (0.0,) * len(services)
    if spec.kind is not Strategy.WALK:
        releases = Releases(spec.stable, spec.canary, objects[0][0].routes.namespace, spec.baseline)
        shares = _common_shares(services, objects, releases)
        each_beside = [
            baseline_shares(dict(zip(services, _manifests(each), strict=True)), releases)
            for each in objects
        ]
        beside = tuple(map(max, zip(*each_beside, strict=True)))
    conditions = _conditions(spec, services)
    steps = tuple(
        Step(
            name,
            share,
            first.routes,
            first.document,
            baseline_share,
            conditions.get(name, StepConditions()),
            tuple(others),
        )
        for name, share, baseline_share, (first, *others) in zip(
            services, shares, beside, zip(*objects, strict=True), strict=True
        )
    )
    return plan_of(directory.resolve().name, spec, steps)


def _by_object(services: Mapping[str, tuple[Resource, ...]]) -> list[list[RouteObject]]:
    """Return each object as it is at each step, in the order of the first step."""
    ids = [each.id for each in next(iter(services.values()))]
    of_steps = [{each.id: each for each in resources} for resources in services.values()]
    if any(each.keys() != set(ids) for each in of_steps):
        every = (each for resources in services.values() for each in resources)
        names = ", ".join(dict.fromkeys(f"{each.kind} {each.name}" for each in every))
        raise PlanInvalid(
            f"the steps change different objects: {names}; give each step all of them"
        )
    objects = [[_route_object(step[each]) for step in of_steps] for each in ids]
    namespaces = sorted({steps[0].routes.namespace for steps in objects})
    if len(namespaces) > 1:
        raise PlanInvalid(
            f"the steps change objects in several namespaces: {', '.join(namespaces)}; make a plan"
            " for each, because a runner has rights in one"
        )
    return objects


def _common_shares(
    names: Iterable[str], objects: Sequence[Sequence[RouteObject]], releases: Releases
) -> tuple[float | None, ...]:
    """Return the canary's shares; raise PlanInvalid if the objects of a step differ in them."""
    steps = [*names]
    found = [
        canary_shares(dict(zip(steps, _manifests(each), strict=True)), releases) for each in objects
    ]
    for step, shares in zip(steps, zip(*found, strict=True), strict=True):
        if len(set(shares)) > 1:
            titles = ", ".join(each[0].title for each in objects)
            raise PlanInvalid(
                f"{step}: the objects {titles} give the canary different shares; use the same"
                " weights in all of them"
            )
    return found[0]


def _manifests(steps: Sequence[RouteObject]) -> tuple[Routes, ...]:
    return tuple(each.routes for each in steps)


def _conditions(spec: PlanFile, names: Iterable[str]) -> dict[str, StepConditions]:
    """Return the conditions by step; raise PlanInvalid if one, or a gate, names no step."""
    known = [*names]
    named = [("conditions", each.step) for each in spec.conditions]
    named += [("gates", step) for each in spec.gates for step in each.steps]
    for field, step in named:
        if step not in known:
            raise PlanInvalid(f"{field}: there is no step {step}; the steps are {', '.join(known)}")
    return {
        each.step: StepConditions(
            seconds=None if each.time is None else each.time.total_seconds(),
            requests=each.requests,
            pause=each.pause,
            objective=None
            if each.objective is None
            else each.objective.applied_to(spec.objective.objective),
        )
        for each in spec.conditions
    }


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
        gates=spec.gates,
        notify=spec.notify,
        workloads=None if spec.workloads is None else spec.workloads.names,
        smoke_tests=tuple(
            SmokeTest(each.method, each.path, tuple(each.headers.items()), each.status)
            for each in spec.smoke_tests
        ),
        canary_requests=None
        if spec.requests is None
        else CanaryRequests(tuple(spec.requests.headers.items()), spec.requests.share),
    )


def _route_object(resource: Resource) -> RouteObject:
    if not isinstance(resource.istio_object, Routes):  # pragma: no cover - chosen as one
        raise PlanInvalid(f"{resource.name} has no routes")
    return RouteObject(resource.istio_object, resource.document)
