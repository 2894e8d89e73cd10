"""Where a route sends requests or connections, and with which weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from .field_errors import Reason, field_error
from .field_types import PortSelector
from .header_operations import Headers
from .names import ConcreteHost, is_label
from .strict_model import StrictModel


def _parse_subset(value: str | None) -> str | None:
    if value and not is_label(value):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not the name of a subset',
            "use up to 63 of a-z, A-Z, 0-9 and -; do not begin or end with -",
        )
    return value or None


class Destination(StrictModel):
    """A Service, or one subset of its pods."""

    host: ConcreteHost
    subset: Annotated[str | None, AfterValidator(_parse_subset)] = None
    port: PortSelector | None = None


def _check_weight(value: int) -> int:
    if value < 0:
        raise field_error(Reason.NEGATIVE_WEIGHT, f"the weight is {value}", "set it to 0 or more")
    return value


class RouteDestination(StrictModel):
    """A destination and its weight; a route's only destination gets everything."""

    destination: Destination
    weight: Annotated[int, AfterValidator(_check_weight), Field(le=2**31 - 1)] = 0


class WeightedDestination(RouteDestination):
    """The same for requests, which may get other headers."""

    headers: Headers | None = None


def _check_weights(value: Any) -> Any:
    destinations: Sequence[RouteDestination] = value
    if len(destinations) > 1 and not sum(each.weight for each in destinations):
        raise field_error(
            Reason.ZERO_WEIGHTS,
            "all weights of the route are 0; Istio's webhook rejects that",
            "set weights that sum to 100",
        )
    return value


#: Annotates a list of destinations.
check_weights: Final = AfterValidator(_check_weights)
