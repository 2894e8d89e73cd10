"""The standard ``OTEL_*`` variables that decide whether and what to trace.

OpenTelemetry's SDK reads the others itself: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_EXPORTER_OTLP_*, OTEL_BSP_*, OTEL_SPAN_*. One that can't be honoured is refused at the start,
because traces that silently don't come are noticed on the day they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .settings import SettingInvalid

#: What is sampled when nothing is said.
DEFAULT_RATIO: Final = 0.01

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
    #: Spans that may wait for the collector.
    max_queue_size: int = 2048


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
    propagators = [p.strip() for p in environ.get("OTEL_PROPAGATORS", "tracecontext").split(",")]
    if "tracecontext" not in propagators:
        raise SettingInvalid("OTEL_PROPAGATORS: tracecontext must be among them")
    sampler = _one_of(environ, "OTEL_TRACES_SAMPLER", SAMPLERS, "")
    argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "")
    parent_based, ratio = SAMPLERS[sampler or "parentbased_traceidratio"]
    if ratio is None:
        # Named without an argument, the specification's default is all of them.
        default = 1.0 if sampler else DEFAULT_RATIO
        ratio = _ratio("OTEL_TRACES_SAMPLER_ARG", argument) if argument else default
    size = environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "") or "2048"
    if not size.isdecimal() or not 0 < int(size) <= 1_000_000:
        raise SettingInvalid(f"OTEL_BSP_MAX_QUEUE_SIZE: {size!r} is not from 1 to 1000000")
    return TracingSettings(ratio=ratio, parent_based=parent_based, max_queue_size=int(size))


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
