"""Cases of the Gateway API's conformance tests: the real Envoy gives the answers that they ask for.

A file of ``conformance/`` has requests with the answer to each, then manifests. The namespaces
``infra``, ``app`` and ``web`` have the backends; a request without a gateway goes to
``infra/same``. Facts from https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from operator import contains
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.rollout.gateway_api.conformance_mesh import ConformanceMesh, conformance_mesh
from tests.rollout.gateway_api.echo_backends import ANSWER, EchoBackends, Reply, ask
from tests.support.waiting import until

FOLDER: Final = Path(__file__).with_name("conformance")
FILES: Final = sorted(each.stem for each in FOLDER.glob("*.yaml"))
Case = Mapping[str, Any]
Start = Callable[[str], tuple[ConformanceMesh, EchoBackends]]


@cache
def documents(name: str) -> list[dict[str, Any]]:
    text = (FOLDER / f"{name}.yaml").read_text()
    return [each for each in yaml.safe_load_all(text) if each]


def cases() -> Iterator[Any]:
    for name in FILES:
        for number, case in enumerate(documents(name)[0]["requests"]):
            place = case.get("host", "") + case["path"]
            yield pytest.param(name, case, id=f"{name}-{number}-{place}")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Return a function that starts the mesh of a file, unless the last call did."""
    started: dict[str, tuple[ConformanceMesh, EchoBackends]] = {}
    with contextlib.ExitStack() as stack:

        def start_mesh(name: str) -> tuple[ConformanceMesh, EchoBackends]:
            if name not in started:
                started.clear()
                stack.pop_all().close()
                directory = tmp_path_factory.mktemp("envoy")
                mesh = conformance_mesh(documents(name)[1:], directory)
                started[name] = stack.enter_context(mesh)
            return started[name]

        yield start_mesh


@pytest.mark.parametrize(("name", "case"), [*cases()])
def test_a_request_is_answered_as_the_specification_says(
    start: Start, name: str, case: Case
) -> None:
    envoys, backends = start(name)
    if "from" in case:
        address = envoys.inside(case["from"])
    else:
        address = envoys.gateway(case.get("gateway", "infra/same"), case.get("port", 80))
    answer = {ANSWER: json.dumps(case["backend_sends"])} if "backend_sends" in case else {}
    headers = {**case.get("headers", {}), **answer}

    reply = ask(
        address, case["path"], case.get("host", "example.com"), case.get("method", "GET"), **headers
    )

    assert reply.status == case.get("status", 200), reply
    assert reply.seen.get("backend") == case.get("backend")
    check_seen(reply, case.get("seen", {}))
    check_headers(reply.headers, case.get("gets", {}), case.get("absent", []))
    for each in case.get("copied", []):
        paths = backends.paths[each]
        until(partial(contains, paths, case["path"]), what=f"a copy to {each}")


def check_seen(reply: Reply, seen: Mapping[str, Any]) -> None:
    """Check what the backend got."""
    if "path" in seen:
        assert reply.seen["path"] == seen["path"]
    if reply.seen:
        check_headers(reply.seen["headers"], seen.get("headers", {}), seen.get("absent", []))


def check_headers(found: Mapping[str, str], wanted: Mapping[str, str], absent: list[str]) -> None:
    for name, value in wanted.items():
        assert found.get(name.lower(), "").replace(" ", "") == value.replace(" ", ""), name
    assert not {each.lower() for each in absent} & found.keys()
