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
from .admission import Admission
from .budget import ByteBudget
from .context import Lifecycle
from .problems import http_problem, render_domain_error, render_problem

log = logging.getLogger(__name__)

_MISSPELT: Final = re.compile(r"/(v1|docs|ui)(?![^/?%])", re.IGNORECASE)
_REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")

#: The error of a request that the shutdown ended, in log lines and spans. No answer shows it.
CANCELLED: Final = "cancelled"

TRACEPARENT: Final = istr("traceparent")
X_REQUEST_ID: Final = istr("X-Request-Id")


def read_request_id(headers: Mapping[str, str], trace: RequestTrace) -> str:
    """Return the client's request id if it is valid, else a new one."""
    request_id = headers.get(X_REQUEST_ID)
    if request_id is not None and _REQUEST_ID.fullmatch(request_id):
        return request_id
    return f"{random_trace_id():032x}" if trace.has_parent else trace.trace_id


def observe_request(
    lifecycle: Lifecycle,
    admission: Admission,
    budget: ByteBudget,
    telemetry: RequestTelemetry | None = None,
) -> Middleware:
    """Return the outermost middleware.

    It assigns the trace, lets requests beyond ``max_in_flight`` wait, turns errors into problems,
    names the request in the response, and observes the request.
    """
    places, queue = admission.places, admission.queue
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
        response: web.StreamResponse
        try:
            if lifecycle.in_flight < places:
                lifecycle.in_flight += 1
            else:
                await admission.wait(request)
            try:
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 - that is what it is for
                response = render_error(request, error)
            finally:
                lifecycle.in_flight -= 1
                if queue:
                    admission.let_in()
                if trace.held_bytes:
                    budget.release(trace.held_bytes)
        except Overloaded as refusal:
            if telemetry is not None:
                telemetry.metrics.rejected["overloaded",] += 1
            response = render_domain_error(refusal)
        except asyncio.CancelledError:
            # KV_SHUTDOWN_SECONDS are over. The client gets no answer, so its proxy says 503.
            trace.error = CANCELLED
            if telemetry is not None:
                request_id = read_request_id(request.headers, trace)
                telemetry.observe(request, 503, trace, started, request_id)
            raise
        request_id = read_request_id(request.headers, trace)
        response.headers[X_REQUEST_ID] = request_id
        if lifecycle.draining:
            response.force_close()
        if telemetry is not None:
            telemetry.observe(request, response.status, trace, started, request_id, response)
        return response

    return observe


@web.middleware
async def answer_uncached(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer on the admin port, whose answers are of this moment only."""
    trace = NoSampler().decide(None)
    TRACE.set(trace)
    response = await render_problems(request, handler)
    response.headers[X_REQUEST_ID] = read_request_id(request.headers, trace)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


@web.middleware
async def render_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem. The details of an unexpected one are only logged."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 - that is what it is for
        return render_error(request, error)


def render_error(request: web.Request, error: Exception) -> web.Response:
    """Return the problem that an error of a handler is. Raise it if it is none, but a redirect."""
    if isinstance(error, DomainError):
        return render_domain_error(error)
    if isinstance(error, web.HTTPException):
        if error.status < 400:
            raise error
        # aiohttp's router keeps the error, and with its traceback all frames and their bodies.
        error.__traceback__ = None
        return _render_router_error(request, error)
    if isinstance(error, web.RequestPayloadError | ConnectionError):
        # Invalid chunked encoding, or the client disconnected before the end of its body.
        # aiohttp's stream keeps the error, and with its traceback all frames and the body.
        error.__traceback__ = None
        broken = BodyInvalid("body: it could not be read to its end as it was declared")
        response = render_domain_error(broken)
        response.force_close()
        return response
    log.error("unhandled error", exc_info=error)
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
        detail = "there is no such route here" + _hint(request.raw_path)
    elif error.status == 405:
        detail = f"this route does not answer {request.method}; Allow lists what it does"
    elif error.status == 417:
        detail = "Expect: only 100-continue is understood"
    else:
        detail = error.reason
    problem = http_problem(error.status, detail)
    TRACE.get().error = problem.code
    response = render_problem(problem)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _hint(raw_path: str) -> str:
    """Return what to do about a first segment that is reserved but for its case."""
    found = _MISSPELT.match(raw_path)
    if found is None or found[1] == found[1].lower():
        return ""
    right = found[1].lower()
    return f": paths are case-sensitive, so write /{right}; a key may begin so at /v1/kv/{found[1]}"


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
