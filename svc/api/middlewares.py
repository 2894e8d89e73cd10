"""The chain around every handler of the traffic port, outermost first."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
from collections.abc import Mapping
from itertools import count
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from ..domain.errors import BodyInvalid, DomainError, InjectedFault, Overloaded
from .context import TRACE_ID, Identity, Lifecycle, Limits
from .problems import http_problem, render_domain_error, render_problem

log = logging.getLogger(__name__)

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")

TRACEPARENT: Final = istr("traceparent")
X_REQUEST_ID: Final = istr("X-Request-Id")
KV_VERSION: Final = istr("KV-Version")
KV_TRACK: Final = istr("KV-Track")
KV_POD: Final = istr("KV-Pod")
SERVER: Final = istr("Server")


def name_responder(response: web.StreamResponse, identity: Identity, request_id: str) -> None:
    """Say who answers, and which request."""
    headers = response.headers
    headers[KV_VERSION] = identity.version
    headers[KV_TRACK] = identity.track
    headers[KV_POD] = identity.pod
    headers[X_REQUEST_ID] = request_id
    headers[SERVER] = "tallykv"


def read_ids(headers: Mapping[str, str], made: str) -> tuple[str, str]:
    """Return the request id and the trace id that the client sent, or else the one made here."""
    request_id = headers.get(X_REQUEST_ID)
    if request_id is None or not _REQUEST_ID.fullmatch(request_id):
        request_id = made
    parent = headers.get(TRACEPARENT)
    found = _TRACEPARENT.fullmatch(parent) if parent is not None else None
    return request_id, found[1] if found else made


def observe_request(identity: Identity, lifecycle: Lifecycle, limits: Limits) -> Middleware:
    """Return the outermost middleware: it names the request, says who answers, and refuses at
    once what would be one request too many.
    """
    max_in_flight = limits.max_in_flight
    # Ids made here: 8 random bytes a process, then a count: unique, and cheap to make.
    process, requests = os.urandom(8).hex(), count(1)

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id, trace_id = read_ids(request.headers, f"{process}{next(requests):016x}")
        request[TRACE_ID] = trace_id
        if lifecycle.in_flight >= max_in_flight:
            refusal = Overloaded("too many requests are under way here; nothing was applied")
            response: web.StreamResponse = render_domain_error(refusal, trace_id)
        else:
            lifecycle.in_flight += 1
            try:
                response = await handler(request)
            finally:
                lifecycle.in_flight -= 1
        name_responder(response, identity, request_id)
        if lifecycle.draining:
            response.force_close()
        return response

    return observe


@web.middleware
async def render_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into a problem; the detail of a defect stays in the log."""
    try:
        return await handler(request)
    except DomainError as error:
        return render_domain_error(error, request.get(TRACE_ID, ""))
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
        trace_id = request.get(TRACE_ID, "")
        log.exception("unhandled error", extra={"trace_id": trace_id})
        return render_problem(http_problem(500, "the service failed; the log says more", trace_id))


def _render_router_error(request: web.Request, error: web.HTTPException) -> web.Response:
    if error.status == 404:
        detail = "there is no such route here"
    elif error.status == 405:
        detail = f"this route does not answer {request.method}; Allow lists what it does"
    else:
        detail = error.reason
    response = render_problem(http_problem(error.status, detail, request.get(TRACE_ID, "")))
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
