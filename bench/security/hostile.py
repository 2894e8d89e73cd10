"""The hostile cases of browsers and of TLS, by name: what each of them gets."""

from __future__ import annotations

from collections.abc import Iterator

from bench.frame.errors import BenchError
from bench.frame.processes import running
from bench.frame.program import Run
from bench.frame.rows import Row, at_most
from bench.testbed.http_client import exchange, exchange_whole
from bench.testbed.operations import render_request
from bench.testbed.servers import PATIENT, Redis, Service

from . import pages, strangers
from .sizes import Sizes


def try_pages(run: Run[Sizes]) -> Iterator[Row]:
    """Send what pages make browsers send. Each must come to nothing."""
    with (
        running(Redis(cores=run.load_cores)) as server,
        running(
            Service(server.url, {**PATIENT, "KV_HOSTS": "kv.test"}, run.server_cores)
        ) as service,
    ):
        exchange(service.port, render_request("PUT", "/v1/kv/k", b"1"))
        for case in pages.CASES:
            request = render_request(case.method, case.target, case.body, case.headers)
            request = request.replace(b"Host: 127.0.0.1", f"Host: {case.host}".encode(), 1)
            port = service.admin_port if case.is_admin_port else service.port
            status, headers, _ = exchange_whole(port, request)
            yield _row(case.name, is_held=case.holds(status, headers), note=f"{status}")
        status, body = exchange(service.port, render_request("GET", "/v1/kv/k"))
        is_held = (status, body) == (200, b"1")
        yield _row("the entry after all of them", is_held=is_held, note=f"{status}")


def try_strangers(run: Run[Sizes]) -> Iterator[Row]:
    """Knock as clients that must not get in. Each is refused, and counted with its reason."""
    with (
        running(Redis(cores=run.load_cores)) as server,
        running(strangers.SecuredService(server.url, run.directory, run.server_cores)) as service,
    ):
        for case in strangers.CASES:
            before = service.failures().get(case.reason, 0)
            status = case.knock(service)
            is_held = status is None and service.counts(case.reason, before)
            note = f"refused: {case.reason}" if is_held else f"{status}, {service.failures()}"
            yield _row(case.name, is_held=is_held, note=note)
        known = service.trusting(service.authority.issue_cert(strangers.CLIENT))
        status, *_ = service.get(service.port, "/v1/limits", known)
        if status != 200:
            raise BenchError(f"a client with a good certificate gets {status}")


def _row(name: str, *, is_held: bool, note: str) -> Row:
    return Row(name, int(not is_held), "let in", at_most(0), note)
