"""How Envoy's messages are written as JSON: types, durations, shares, matched texts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, assert_never

from ..manifests.string_match import Exact, Prefix, Regex, StringMatch

#: What istiod sends where nothing limits a number.
UINT32_MAX: Final = 2**32 - 1

CLUSTER: Final = "envoy.config.cluster.v3.Cluster"
LISTENER: Final = "envoy.config.listener.v3.Listener"
LOAD_ASSIGNMENT: Final = "envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTE_CONFIGURATION: Final = "envoy.config.route.v3.RouteConfiguration"


def type_url(message: str) -> str:
    return f"type.googleapis.com/{message}"


def typed(message: str, **fields: Any) -> dict[str, Any]:
    """Return a message that says of which type it is."""
    return {"@type": type_url(message), **fields}


def extension(name: str, message: str, **fields: Any) -> dict[str, Any]:
    """Return an extension by its name, with its configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def duration(value: timedelta) -> str:
    """Write a duration as protobuf's JSON has it: ``7s``, ``0.025s``."""
    milliseconds = value // timedelta(milliseconds=1)
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"


def whole_seconds(value: timedelta) -> int:
    """Return the seconds of a duration where Envoy takes no fractions; istiod cuts them off."""
    return value // timedelta(seconds=1)


def share(percent: float) -> dict[str, Any]:
    """Write a percentage as istiod does: a millionth is the finest, the rest is cut off."""
    return {"numerator": int(percent * 10_000), "denominator": "MILLION"}


def string_match(match: StringMatch) -> dict[str, Any]:
    """Write a text's match; a regular expression has to match the whole text."""
    match match:
        case Exact(value):
            return {"exact": value}
        case Prefix(value):
            return {"prefix": value}
        case Regex(pattern):
            return {"safe_regex": {"regex": pattern}}
        case _:
            assert_never(match)
