"""The HTTP interface: verdicts as JSON, and gates that answer with a status."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ..manifests.names import is_kubernetes_label
from ..runner.state_store import StateFailed
from .comparison import Comparison
from .comparisons import Comparisons, ComparisonUnknown, DefinitionConflict, TooMany
from .definition import DefinitionInvalid
from .metrics import build_registry
from .verdict import Gate

#: The largest body of a request; a webhook of Flagger has a few hundred bytes.
MAX_BODY_BYTES: Final = 64 * 1024
#: How long the first answer of a run waits for the first reading; controllers give up after 10 s.
FIRST_READING_SECONDS: Final = 3.0
_DRAIN_SECONDS: Final = 10.0
_COMPARISONS: Final = web.AppKey("comparisons", Comparisons)
_REGISTRY: Final = web.AppKey("registry", CollectorRegistry)
_STATUS: Final = {
    DefinitionInvalid: 400,
    ComparisonUnknown: 404,
    DefinitionConflict: 409,
    TooMany: 429,
    StateFailed: 503,
}
_LONGEST_RUN: Final = 200

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(comparisons: Comparisons) -> web.Application:
    """Build the application; the caller runs the comparisons."""
    app = web.Application(middlewares=[_render_errors], client_max_size=MAX_BODY_BYTES)
    app[_COMPARISONS] = comparisons
    app[_REGISTRY] = build_registry(comparisons)
    name = "/v1/comparisons/{name}"
    app.add_routes(
        [
            web.get("/v1/comparisons", _list),
            web.get(name, _show),
            web.post(name, _define),
            web.delete(name, _forget),
            web.get(name + "/gate/{gate}", _ask_gate),
            web.post(name + "/gate/{gate}", _ask_gate),
            web.get("/healthz", _healthy),
            web.get("/readyz", _healthy),
            web.get("/metrics", _metrics),
        ]
    )
    return app


@contextlib.asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the block ends, then finish the requests in progress; yield the port.

    Raise OSError if the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_DRAIN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@web.middleware
async def _render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an error with one JSON object that names it."""
    try:
        return await handler(request)
    except tuple(_STATUS) as error:
        status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
        return web.json_response({"error": str(error)}, status=status)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return web.json_response({"error": error.reason}, status=error.status, headers=headers)


async def _list(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "comparisons": [
                {"name": name, "run": each.run, "verdict": each.verdict.word.value}
                for name, each in request.app[_COMPARISONS]
            ]
        }
    )


async def _show(request: web.Request) -> web.Response:
    name = _name_of(request)
    return _render(name, await _find(request, name, request.query.get("run")))


async def _define(request: web.Request) -> web.Response:
    name, body = _name_of(request), await _read_body(request)
    run = request.query.get("run")
    comparisons = request.app[_COMPARISONS]
    if not body or set(body) == {"run"}:
        return _render(name, await _find(request, name, body.get("run", run)))
    if run is not None:
        body.setdefault("run", run)
    comparison, is_new = await comparisons.define(name, body)
    await _wait_for_reading(comparisons, name)
    return _render(name, comparison, 201 if is_new else 200)


async def _forget(request: web.Request) -> web.Response:
    await request.app[_COMPARISONS].forget(_name_of(request))
    return web.Response(status=204)


async def _ask_gate(request: web.Request) -> web.Response:
    """Answer 200 for yes and 403 for no, with the reason: controllers show it."""
    name, run = _name_of(request), request.query.get("run")
    try:
        gate = Gate(request.match_info["gate"])
    except ValueError:
        raise ComparisonUnknown(f"there is no such gate; the gates are {', '.join(Gate)}") from None
    if request.method == "POST" and run is None:
        # A webhook of Flagger: the checksum names the release that is being rolled out.
        run = (await _read_body(request)).get("checksum")
    comparison = await _find(request, name, run)
    verdict = comparison.verdict
    is_open = verdict.opens(gate)
    if gate is Gate.ADVANCE and request.method == "POST":
        is_open = is_open or comparison.waits_for_first_share
        comparison.increases += is_open
        await request.app[_COMPARISONS].save(name)
    shown = comparison.describe(name)
    return web.json_response(
        {
            "name": name,
            "gate": gate.value,
            "open": is_open,
            "verdict": verdict.word.value,
            "reason": verdict.sentence,
            **{field: shown[field] for field in ("errorRatio", "requestsNeeded", "secondsNeeded")},
        },
        status=200 if is_open else 403,
    )


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(
        body=generate_latest(request.app[_REGISTRY]),
        headers={"Content-Type": CONTENT_TYPE_LATEST},
    )


def _name_of(request: web.Request) -> str:
    name = request.match_info["name"]
    if not is_kubernetes_label(name):
        raise DefinitionInvalid("a comparison's name has up to 63 lower-case letters, digits and -")
    return name


async def _read_body(request: web.Request) -> dict[str, Any]:
    """Return the body's JSON object, an empty one if there is no body."""
    text = await request.text()
    if not text.strip():
        return {}
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise DefinitionInvalid("the body must be a JSON object")
    return body


async def _find(request: web.Request, name: str, run: Any) -> Comparison:
    if run == "":  # an older Flagger sends no checksum
        run = None
    if run is not None and not (isinstance(run, str) and len(run) <= _LONGEST_RUN):
        raise DefinitionInvalid(f"run: must be a text of up to {_LONGEST_RUN} characters")
    comparisons = request.app[_COMPARISONS]
    comparison = await comparisons.find(name, run)
    await _wait_for_reading(comparisons, name)
    return comparison


async def _wait_for_reading(comparisons: Comparisons, name: str) -> None:
    # So the first answer says more than that nothing was read yet.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(comparisons.first_reading(name), FIRST_READING_SECONDS)


def _render(name: str, comparison: Comparison, status: int = 200) -> web.Response:
    return web.json_response(comparison.describe(name), status=status)
