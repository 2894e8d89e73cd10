"""Field types that several models share: durations, hosts, ports, percentages."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainValidator

from .field_errors import Reason, field_error
from .strict_model import StrictModel

_MILLISECONDS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+")
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_HOST: Final = re.compile(r"(?:\*|(?:\*\.)?[A-Za-z0-9_](?:[-A-Za-z0-9_.]*[A-Za-z0-9_])?)")
_DURATION_REMEDY: Final = "write it like 1h, 1m, 1s or 1ms; 0.5s and 1m30s are valid too"


def parse_duration(value: Any) -> timedelta:
    """Parse ``1h``, ``1m30s``, ``0.5s`` or ``25ms``; raise a field error for anything else.

    A duration must be a whole number of milliseconds, as in Istio.
    """
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        raise field_error(Reason.BAD_DURATION, f"{shown} is not a duration", _DURATION_REMEDY)
    total = sum(
        (Decimal(number) * _MILLISECONDS[unit] for number, unit in _DURATION_PART.findall(value)),
        Decimal(),
    )
    if total != int(total):
        raise field_error(
            Reason.BAD_DURATION, f'"{value}" is not a whole number of milliseconds', "round it"
        )
    return timedelta(milliseconds=int(total))


def _check_positive(value: timedelta) -> timedelta:
    if not value:
        raise field_error(Reason.BAD_DURATION, "the duration is zero", "set it to 1ms or more")
    return value


#: At least 1 ms.
Duration = Annotated[timedelta, PlainValidator(parse_duration), AfterValidator(_check_positive)]
#: 0s disables the limit.
DurationOrZero = Annotated[timedelta, PlainValidator(parse_duration)]


def _check_label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not a DNS label',
            "use up to 63 of a-z, 0-9 and -; do not begin or end with -",
        )
    return value


def _check_host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not a host',
            "write the name of a Service, a domain name, or *.domain",
        )
    return value


def _check_concrete_host(value: str) -> str:
    if value == "*":
        raise field_error(Reason.BAD_VALUE, '"*" is not a destination', "write one host")
    return _check_host(value)


DnsLabel = Annotated[str, AfterValidator(_check_label)]
#: A name or a wildcard domain.
Host = Annotated[str, AfterValidator(_check_host)]
#: A host that requests can be sent to.
ConcreteHost = Annotated[str, AfterValidator(_check_concrete_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
PercentInt = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Percent(StrictModel):
    """A percentage of requests. Envoy ignores what is smaller than 0.0001 %."""

    value: Annotated[float, Field(ge=0, le=100)] = 0.0


class PortSelector(StrictModel):
    number: Port


def _check_exported_to_all(value: tuple[str, ...]) -> tuple[str, ...]:
    if value not in {(), ("*",)}:
        raise field_error(
            Reason.UNSUPPORTED_VALUE,
            "exporting to only some namespaces",
            'remove exportTo, or write ["*"]',
        )
    return value


#: The namespaces that see an object; only the default, all of them, is supported.
ExportTo = Annotated[tuple[str, ...], AfterValidator(_check_exported_to_all)]
