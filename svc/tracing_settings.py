"""The standard ``OTEL_*`` variables that decide whether and what to trace.

OpenTelemetry's SDK reads the others itself: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_EXPORTER_OTLP_*, OTEL_BSP_*, OTEL_SPAN_*. One that can't be honoured is refused at the start,
because traces that silently don't come are noticed on the day they are needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from .settings import SettingInvalid

#: What is sampled when nothing is said.
DEFAULT_RATIO: Final = 0.01

PROPAGATORS: Final = frozenset(("tracecontext", "baggage"))

#: Name to (follows the caller's decision, ratio; None: OTEL_TRACES_SAMPLER_ARG's).
SAMPLERS: Final[dict[str, tuple[bool, float | None]]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """What is sampled: a ratio from 0 to 1 of the requests, unless their callers decided."""

    ratio: float = DEFAULT_RATIO
    parent_based: bool = True
    #: Spans that may wait for the collector, and that travel there together.
    max_queue_size: int = 2048
    max_batch_size: int = 512


def load_tracing(environ: Mapping[str, str]) -> TracingSettings | None:
    """Read the variables; None: nothing is to be traced. Raises SettingInvalid."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if _one_of(environ, "OTEL_TRACES_EXPORTER", ("otlp", "none"), "otlp") == "none" or not any(
        environ.get(name) for name in endpoints
    ):
        return None
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        _one_of(environ, name, ("http/protobuf",), "http/protobuf")
    # Whether the caller sampled is read before any propagator runs, from traceparent alone.
    propagators = (environ.get("OTEL_PROPAGATORS") or "tracecontext").split(",")
    if not {"tracecontext"} <= {each.strip() for each in propagators} <= PROPAGATORS:
        raise SettingInvalid("OTEL_PROPAGATORS: tracecontext, or tracecontext,baggage")
    sampler = _one_of(environ, "OTEL_TRACES_SAMPLER", SAMPLERS, "")
    argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "")
    parent_based, ratio = SAMPLERS[sampler or "parentbased_traceidratio"]
    if ratio is None:
        # Named without an argument, the specification's default is all of them.
        default = 1.0 if sampler else DEFAULT_RATIO
        ratio = _ratio("OTEL_TRACES_SAMPLER_ARG", argument) if argument else default
    for name in endpoints:
        if environ.get(name) and not environ[name].startswith(("http://", "https://")):
            raise SettingInvalid(f"{name}: {environ[name]!r} is no http:// or https:// address")
    for name in ("OTEL_PYTHON_AIOHTTP_SERVER_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"):
        try:
            re.compile("|".join(environ.get(name, "").split(",")))
        except re.error as error:
            raise SettingInvalid(f"{name}: no regular expressions: {error}") from None
    _whole(environ, "OTEL_BSP_SCHEDULE_DELAY", 5000)
    queued = _whole(environ, "OTEL_BSP_MAX_QUEUE_SIZE", 2048)
    batched = _whole(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)
    return TracingSettings(
        ratio=ratio,
        parent_based=parent_based,
        max_queue_size=queued,
        max_batch_size=min(queued, batched),
    )


def service_name(environ: Mapping[str, str]) -> str:
    """Return who speaks, as OpenTelemetry's SDK would find it."""
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    given = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    return environ.get("OTEL_SERVICE_NAME") or given.get("service.name") or "tallykv"


def _whole(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise SettingInvalid(f"{name}: {text!r} is not a whole number from 1 to 1000000")
    return int(text)


def _one_of(
    environ: Mapping[str, str],
    name: str,
    names: Mapping[str, object] | tuple[str, ...],
    default: str,
) -> str:
    text = environ.get(name) or default
    if text and text not in names:
        raise SettingInvalid(f"{name}: {text!r} is not one of {', '.join(names)}")
    return text


def _ratio(name: str, text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise SettingInvalid(f"{name}: {text!r} is not a ratio from 0 to 1")
    return ratio
