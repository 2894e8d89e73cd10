"""The middlewares around every handler, outermost first."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from ..domain.errors import BodyInvalid, DomainError, InjectedFault, Overloaded
from ..telemetry.requests import RequestTelemetry
from ..telemetry.sampling import NoSampler
from ..telemetry.trace import TRACE, RequestTrace, random_trace_id
from .budget import ByteBudget
from .context import Identity, Lifecycle
from .limits import Limits
from .problems import http_problem, render_domain_error, render_problem

log = logging.getLogger(__name__)

_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")

#: The error of a request that the shutdown ended, in log lines and spans. No answer shows it.
CANCELLED: Final = "cancelled"

TRACEPARENT: Final = istr("traceparent")
X_REQUEST_ID: Final = istr("X-Request-Id")
KV_VERSION: Final = istr("KV-Version")
KV_TRACK: Final = istr("KV-Track")
KV_POD: Final = istr("KV-Pod")
SERVER: Final = istr("Server")


def name_responder(response: web.StreamResponse, identity: Identity, request_id: str) -> None:
    """Add the headers that name the pod and the request."""
    headers = response.headers
    headers[KV_VERSION] = identity.version
    headers[KV_TRACK] = identity.track
    headers[KV_POD] = identity.pod
    headers[X_REQUEST_ID] = request_id
    headers[SERVER] = "tallykv"


def read_request_id(headers: Mapping[str, str], trace: RequestTrace) -> str:
    """Return the client's request id if it is valid, else a new one."""
    request_id = headers.get(X_REQUEST_ID)
    if request_id is not None and _REQUEST_ID.fullmatch(request_id):
        return request_id
    return f"{random_trace_id():032x}" if trace.has_parent else trace.trace_id


def observe_request(
    identity: Identity,
    lifecycle: Lifecycle,
    limits: Limits,
    budget: ByteBudget,
    telemetry: RequestTelemetry | None = None,
) -> Middleware:
    """Return the outermost middleware.

    It assigns the trace, refuses requests above ``max_in_flight``, adds the headers of the pod and
    the request to the response, and observes the request.
    """
    max_in_flight = limits.max_in_flight
    decide = NoSampler().decide if telemetry is None else telemetry.decide
    now = time.perf_counter

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = now()
        parent = request.headers.get(TRACEPARENT)
        if parent is not None and len(request.headers.getall(TRACEPARENT)) > 1:
            parent = None  # W3C Trace Context §3.2: invalid, so the caller has no trace
        trace = decide(parent)
        if trace.sampled and telemetry is not None:
            telemetry.exclude(request, trace)
        TRACE.set(trace)
        if lifecycle.in_flight >= max_in_flight:
            if telemetry is not None:
                telemetry.metrics.rejected["overloaded",] += 1
            refusal = Overloaded("too many requests are under way here; nothing was applied")
            response: web.StreamResponse = render_domain_error(refusal)
        else:
            lifecycle.in_flight += 1
            try:
                response = await handler(request)
            except asyncio.CancelledError:
                # KV_SHUTDOWN_SECONDS are over. The client gets no answer, so its proxy says 503.
                trace.error = CANCELLED
                if telemetry is not None:
                    request_id = read_request_id(request.headers, trace)
                    telemetry.observe(request, 503, trace, started, request_id)
                raise
            finally:
                lifecycle.in_flight -= 1
                if trace.held_bytes:
                    budget.release(trace.held_bytes)
        request_id = read_request_id(request.headers, trace)
        name_responder(response, identity, request_id)
        if lifecycle.draining:
            response.force_close()
        if telemetry is not None:
            telemetry.observe(request, response.status, trace, started, request_id)
        return response

    return observe


def answer_uncached(identity: Identity) -> Middleware:
    """Return the outermost middleware of the admin port, whose answers are of this moment only."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        trace = NoSampler().decide(None)
        TRACE.set(trace)
        response = await handler(request)
        name_responder(response, identity, read_request_id(request.headers, trace))
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response

    return answer


@web.middleware
async def render_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem. The details of an unexpected one are only logged."""
    try:
        return await handler(request)
    except DomainError as error:
        return render_domain_error(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        # aiohttp's router keeps the error, and with its traceback all frames and their bodies.
        error.__traceback__ = None
        return _render_router_error(request, error)
    except (web.RequestPayloadError, ConnectionError) as error:
        # Invalid chunked encoding, or the client disconnected before the end of its body.
        # aiohttp's stream keeps the error, and with its traceback all frames and the body.
        error.__traceback__ = None
        broken = BodyInvalid("body: it could not be read to its end as it was declared")
        response = render_domain_error(broken)
        response.force_close()
        return response
    except Exception:
        log.exception("unhandled error")
        return render_problem(http_problem(500, "the service failed; the log says more"))


def _render_router_error(request: web.Request, error: web.HTTPException) -> web.Response:
    if request.raw_path == "*":  # RFC 9110 §9.3.7: OPTIONS of the server itself
        methods = {route.method for route in request.app.router.routes()}
        allow = ",".join(sorted({*methods, hdrs.METH_OPTIONS}))
        return web.Response(status=204, headers={"Allow": allow})
    if isinstance(error, web.HTTPMethodNotAllowed):
        # Every route answers OPTIONS, which has no handler.
        allow = ",".join(sorted({*error.allowed_methods, hdrs.METH_OPTIONS}))
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=204, headers={"Allow": allow})
        error.headers["Allow"] = allow
    if error.status == 404:
        detail = "there is no such route here"
    elif error.status == 405:
        detail = f"this route does not answer {request.method}; Allow lists what it does"
    elif error.status == 417:
        detail = "Expect: only 100-continue is understood"
    else:
        detail = error.reason
    response = render_problem(http_problem(error.status, detail))
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def inject_faults(error_ratio: float, latency_seconds: float, latency_ratio: float) -> Middleware:
    """Return a middleware that fails or delays a ratio of ``/v1`` requests, to test rollbacks."""
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
