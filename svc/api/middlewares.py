"""The chain around every handler of the traffic port, outermost first."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
from itertools import count
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ..domain.errors import BodyInvalid, DomainError, InjectedFault, Overloaded
from .context import IDENTITY, LIFECYCLE, LIMITS, TRACE_ID
from .problems import http_problem, render_domain_error, render_problem

log = logging.getLogger(__name__)

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")

# Ids made here: 8 random bytes a process, then a count: unique, and cheap to make.
_process: Final = os.urandom(8).hex()
_requests: Final = count(1)


@web.middleware
async def observe_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request, say who answers, and refuse at once what would be one too many."""
    app = request.app
    lifecycle = app[LIFECYCLE]
    headers = request.headers
    made = f"{_process}{next(_requests):016x}"
    request_id = headers.get("X-Request-Id")
    if request_id is None or not _REQUEST_ID.fullmatch(request_id):
        request_id = made
    parent = headers.get("traceparent")
    found = _TRACEPARENT.fullmatch(parent) if parent is not None else None
    request[TRACE_ID] = found[1] if found else made
    if lifecycle.in_flight >= app[LIMITS].max_in_flight:
        response: web.StreamResponse = render_domain_error(
            Overloaded("too many requests are under way here; nothing was applied"), made
        )
    else:
        lifecycle.in_flight += 1
        try:
            response = await handler(request)
        finally:
            lifecycle.in_flight -= 1
    who = app[IDENTITY]
    sent = response.headers
    sent["KV-Version"] = who.version
    sent["KV-Track"] = who.track
    sent["KV-Pod"] = who.pod
    sent["X-Request-Id"] = request_id
    sent["Server"] = "tallykv"
    if lifecycle.draining:
        response.force_close()
    return response


@web.middleware
async def render_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into a problem; the detail of a defect stays in the log."""
    try:
        return await handler(request)
    except DomainError as error:
        return render_domain_error(error, request[TRACE_ID])
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _render_router_error(request, error)
    except web.RequestPayloadError:
        # Broken chunking or compression, or the client went away in the middle of its body.
        broken = BodyInvalid("body: it could not be read to its end as it was declared")
        response = render_domain_error(broken, request[TRACE_ID])
        response.force_close()
        return response
    except Exception:
        log.exception("unhandled error", extra={"trace_id": request[TRACE_ID]})
        problem = http_problem(500, "the service failed; the log says more", request[TRACE_ID])
        return render_problem(problem)


def _render_router_error(request: web.Request, error: web.HTTPException) -> web.Response:
    if error.status == 404:
        detail = "there is no such route here"
    elif error.status == 405:
        detail = f"this route does not answer {request.method}; Allow lists what it does"
    else:
        detail = error.reason
    response = render_problem(http_problem(error.status, detail, request[TRACE_ID]))
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def inject_faults(error_ratio: float, latency_seconds: float, latency_ratio: float) -> Middleware:
    """Return a middleware that fails and delays some of ``/v1``, to rehearse a bad release."""
    draw: Any = random.random

    @web.middleware
    async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/v1/"):
            if latency_seconds and draw() < latency_ratio:
                await asyncio.sleep(latency_seconds)
            if draw() < error_ratio:
                raise InjectedFault("a deliberate failure (KV_FAULT_ERROR_RATIO)")
        return await handler(request)

    return inject
