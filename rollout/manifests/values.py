"""The small values of manifests: durations, ports, percentages, names."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainValidator

from .part import Part
from .refusals import Reason, refuse

_MILLISECONDS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+")
_PIECE: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_HOST: Final = re.compile(r"(?:\*|(?:\*\.)?[A-Za-z0-9_](?:[-A-Za-z0-9_.]*[A-Za-z0-9_])?)")
_DURATION_REMEDY: Final = "write it as 1h, 1m, 1s or 1ms; 0.5s and 1m30s are fine too"


def parse_duration(value: Any) -> timedelta:
    """Parse ``1h``, ``1m30s``, ``0.5s`` or ``25ms``; Istio knows no finer step than 1 ms."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        raise refuse(Reason.BAD_DURATION, f"{shown} is no duration", _DURATION_REMEDY)
    total = sum(
        (Decimal(number) * _MILLISECONDS[unit] for number, unit in _PIECE.findall(value)), Decimal()
    )
    if total != int(total):
        raise refuse(
            Reason.BAD_DURATION, f'"{value}" is finer than 1 ms', "round it to milliseconds"
        )
    return timedelta(milliseconds=int(total))


def _some(value: timedelta) -> timedelta:
    if not value:
        raise refuse(Reason.BAD_DURATION, "the duration is zero", "1ms is the least")
    return value


#: At least 1 ms.
Duration = Annotated[timedelta, PlainValidator(parse_duration), AfterValidator(_some)]
#: Zero switches off whatever it limits.
DurationOrZero = Annotated[timedelta, PlainValidator(parse_duration)]


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise refuse(
            Reason.BAD_VALUE,
            f'"{value}" is no DNS label',
            "use a-z, 0-9 and - inside, 63 characters at most",
        )
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise refuse(
            Reason.BAD_VALUE,
            f'"{value}" is no host',
            "use a Service's name, a domain name, or *.domain",
        )
    return value


def _concrete_host(value: str) -> str:
    if value == "*":
        raise refuse(Reason.BAD_VALUE, '"*" names no destination', "name one host")
    return _host(value)


DnsLabel = Annotated[str, AfterValidator(_label)]
#: A name or a wildcard domain.
Host = Annotated[str, AfterValidator(_host)]
#: Where requests can be sent.
ConcreteHost = Annotated[str, AfterValidator(_concrete_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
PercentInt = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Percent(Part):
    """A share of requests in percent, as fine as a ten-thousandth of one."""

    value: Annotated[float, Field(ge=0, le=100)] = 0.0


class PortSelector(Part):
    number: Port


def _everywhere(value: tuple[str, ...]) -> tuple[str, ...]:
    if value not in {(), ("*",)}:
        raise refuse(
            Reason.UNSUPPORTED_VALUE,
            "only the default visibility is supported",
            'leave exportTo out, or write ["*"]',
        )
    return value


#: Who may see an object: all, which is the default.
ExportTo = Annotated[tuple[str, ...], AfterValidator(_everywhere)]
