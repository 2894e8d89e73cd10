"""Plans and documents from the repository's own directories, as a rehearsal takes them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from rollout.evidence.counts import Arm
from rollout.evidence.objective import Objective
from rollout.manifests.parsing import parse_manifest
from rollout.manifests.virtual_service import VirtualService
from rollout.plan.model import Plan, Step, Strategy
from rollout.rehearsal.errors import ProgramMissing
from rollout.rehearsal.executables import find_envoy, find_openssl, find_redis
from rollout.rehearsal.pod_specs import PodOptions
from rollout.rehearsal.rehearsal import RehearsalOptions
from tests.support.manifests import render, the

ECHO: Final = (sys.executable, str(Path(__file__).with_name("echo_service.py")))
#: The same for both releases of a rehearsal whose verdict is asserted.
ECHO_PAIR: Final = (sys.executable, "-m", "tests.rollout.rehearsal.echo_pair")
HOST: Final = "kv.example.com"
Document = dict[str, Any]

#: Both releases are echo services, without generated load.
ECHOES: Final = RehearsalOptions(
    pods=PodOptions(commands={Arm.STABLE: ECHO, Arm.CANARY: ECHO}),
    rate=0,
    prometheus=False,
)
#: Both releases are tallykv, without generated load. By default tallykv refuses what has waited for
#: half a second, as it does on a busy machine; here its answers count, not their time.
TALLYKV: Final = RehearsalOptions(
    pods=PodOptions(environ={arm: {"KV_STORE_TIMEOUT_MS": "30000"} for arm in Arm}),
    rate=0,
    prometheus=False,
)


def need_programs() -> None:
    """Skip the test, naming the package, where there is no Envoy, no Redis or no openssl."""
    try:
        find_envoy()
        find_redis()
        find_openssl()
    except ProgramMissing as missing:
        pytest.skip(str(missing))


def documents(*directories: str) -> list[Document]:
    """Return the documents of these directories of ``istio/``, in order."""
    return [each for directory in directories for each in render(f"istio/{directory}")]


def routes_of(directory: str) -> Document:
    return the(render(f"istio/{directory}"), "VirtualService", "kv")


def read_routes(document: Document) -> VirtualService:
    parsed = parse_manifest(document)
    assert isinstance(parsed.manifest, VirtualService), parsed.errors
    return parsed.manifest


def step_of(document: Document, name: str = "", share: float | None = None) -> Step:
    return Step(name, share, read_routes(document), document)


def canary_step(percent: float) -> Step:
    """Return a step of the canary with any weight, also one that has no directory."""
    document = routes_of("canary/steps/10")
    for route in document["spec"]["http"]:
        stable, canary = route["route"]
        stable["weight"], canary["weight"] = 100 - percent, percent
    return step_of(document, f"{percent}", percent / 100)


def canary_plan(objective: Objective | None = None) -> Plan:
    names = ("00", "01", "05", "10", "25", "50", "100")
    steps = [step_of(routes_of(f"canary/steps/{name}"), name, int(name) / 100) for name in names]
    return plan_of(Strategy.CANARY, "stable", "canary", steps, objective)


def plan_of(
    strategy: Strategy,
    stable: str,
    canary: str,
    steps: Iterable[Step],
    objective: Objective | None = None,
) -> Plan:
    return Plan(strategy.value, strategy, stable, canary, tuple(steps), objective or Objective())


def canary_documents() -> list[Document]:
    return documents("gateway", "canary/1-workloads", "canary/2-subsets")


def changed(document: Document, **fields: Any) -> Document:
    """Return a VirtualService with these fields in each of its routes."""
    copied = copy.deepcopy(document)
    for route in copied["spec"]["http"]:
        route.update(copy.deepcopy(fields))
    return copied
