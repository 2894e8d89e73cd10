"""The standard ``OTEL_*`` variables that decide whether to trace, and which requests. Pure.

OpenTelemetry's SDK reads the rest itself: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_EXPORTER_OTLP_*, OTEL_BSP_*, OTEL_SPAN_*. A value that the service does not support is refused
at start; otherwise missing traces would be noticed only when somebody needs them. An exception is
the protocol, which is often set for all programs of a namespace: OTLP over HTTP is tried instead.

Source: the OpenTelemetry specification, "Environment Variable Specification".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

#: The ratio of requests to sample when no variable sets one.
DEFAULT_RATIO: Final = 0.01

HTTP_PROTOBUF: Final = "http/protobuf"
GRPC: Final = "grpc"

PROPAGATORS: Final = frozenset(("tracecontext", "baggage"))

#: By name: whether the caller's decision counts, and the ratio. None: OTEL_TRACES_SAMPLER_ARG.
SAMPLERS: Final[dict[str, tuple[bool, float | None]]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}


class TracingSettingInvalid(ValueError):
    """An ``OTEL_*`` variable can't be used. The message names it and says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """Which requests to sample, and how many spans may wait to be exported."""

    #: From 0 to 1, of the requests without a caller's decision.
    ratio: float = DEFAULT_RATIO
    #: True: a caller that sampled its own span has this service sample too, and vice versa.
    parent_based: bool = True
    max_queue_size: int = 2048
    #: The most spans in one request to the collector.
    max_batch_size: int = 512
    #: Of OTLP. span_export.py warns of one that it does not support.
    protocol: str = HTTP_PROTOBUF


def load_tracing(environ: Mapping[str, str]) -> TracingSettings | None:
    """Read the variables. Return None if nothing is to be traced.

    Raises TracingSettingInvalid.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if _one_of(environ, "OTEL_TRACES_EXPORTER", ("otlp", "none"), "otlp") == "none" or not any(
        environ.get(name) for name in endpoints
    ):
        return None
    protocol = (
        environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or HTTP_PROTOBUF
    )
    # The sampler reads traceparent itself, before any propagator runs.
    propagators = (environ.get("OTEL_PROPAGATORS") or "tracecontext").split(",")
    if not {"tracecontext"} <= {each.strip() for each in propagators} <= PROPAGATORS:
        raise TracingSettingInvalid("OTEL_PROPAGATORS: tracecontext, or tracecontext,baggage")
    sampler = _one_of(environ, "OTEL_TRACES_SAMPLER", SAMPLERS, "")
    argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "")
    parent_based, ratio = SAMPLERS[sampler or "parentbased_traceidratio"]
    if ratio is None:
        # The specification's default for a named sampler without an argument is 1.
        default = 1.0 if sampler else DEFAULT_RATIO
        ratio = _ratio("OTEL_TRACES_SAMPLER_ARG", argument) if argument else default
    for name in endpoints:
        # For gRPC, an address without a scheme is valid.
        if environ.get(name) and not (
            protocol == GRPC or environ[name].startswith(("http://", "https://"))
        ):
            # Without the address: it may hold a token.
            raise TracingSettingInvalid(f"{name}: it is no http:// or https:// address")
    for name in ("OTEL_PYTHON_AIOHTTP_SERVER_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"):
        try:
            re.compile("|".join(environ.get(name, "").split(",")))
        except re.error as error:
            raise TracingSettingInvalid(f"{name}: no regular expressions: {error}") from None
    _whole(environ, "OTEL_BSP_SCHEDULE_DELAY", 5000)
    queued = _whole(environ, "OTEL_BSP_MAX_QUEUE_SIZE", 2048)
    batched = _whole(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)
    return TracingSettings(
        ratio=ratio,
        parent_based=parent_based,
        max_queue_size=queued,
        max_batch_size=min(queued, batched),
        protocol=protocol,
    )


def service_name(environ: Mapping[str, str]) -> str:
    """Return the ``service.name`` that OpenTelemetry's SDK would use, else "tallykv"."""
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    given = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    return environ.get("OTEL_SERVICE_NAME") or given.get("service.name") or "tallykv"


def _whole(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise TracingSettingInvalid(
            f"{name}: {_shown(text)} is not a whole number from 1 to 1000000"
        )
    return int(text)


def _one_of(
    environ: Mapping[str, str],
    name: str,
    names: Mapping[str, object] | tuple[str, ...],
    default: str,
) -> str:
    text = environ.get(name) or default
    if text and text not in names:
        raise TracingSettingInvalid(f"{name}: {_shown(text)} is not one of {', '.join(names)}")
    return text


def _shown(text: str) -> str:
    """Return the text for a message; a URL in the wrong place may hold a password."""
    return "***" if "://" in text or "@" in text else repr(text)


def _ratio(name: str, text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise TracingSettingInvalid(f"{name}: {_shown(text)} is not a ratio from 0 to 1")
    return ratio
