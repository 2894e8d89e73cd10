"""Envoy's messages in protobuf's JSON format: types, durations, percentages, addresses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, assert_never

from ..manifests.string_match import Exact, Prefix, Regex, StringMatch
from .configuration import Address

#: istiod's value for a limit that is not set.
UINT32_MAX: Final = 2**32 - 1

CLUSTER: Final = "envoy.config.cluster.v3.Cluster"
LISTENER: Final = "envoy.config.listener.v3.Listener"
LOAD_ASSIGNMENT: Final = "envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTE_CONFIGURATION: Final = "envoy.config.route.v3.RouteConfiguration"


def type_url(message: str) -> str:
    return f"type.googleapis.com/{message}"


def typed(message: str, **fields: Any) -> dict[str, Any]:
    """Return an Any message: ``@type``, then the fields."""
    return {"@type": type_url(message), **fields}


def extension(name: str, message: str, **fields: Any) -> dict[str, Any]:
    """Return a TypedExtensionConfig: the extension's name and configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def duration(value: timedelta) -> str:
    """Return a Duration, ``7s`` or ``0.025s``; less than a millisecond is cut off."""
    milliseconds = value // timedelta(milliseconds=1)
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"


def whole_seconds(value: timedelta) -> int:
    """Return the whole seconds of a duration, rounded down as istiod does."""
    return value // timedelta(seconds=1)


def fractional_percent(percent: float) -> dict[str, Any]:
    """Return a FractionalPercent, rounded down to a millionth as istiod does."""
    return {"numerator": int(percent * 10_000), "denominator": "MILLION"}


def socket_address(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def string_match(match: StringMatch) -> dict[str, Any]:
    """Return a StringMatcher; a regex must match the whole value."""
    match match:
        case Exact(value):
            return {"exact": value}
        case Prefix(value):
            return {"prefix": value}
        case Regex(pattern):
            return {"safe_regex": {"regex": pattern}}
        case _:
            assert_never(match)
