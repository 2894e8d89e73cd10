"""Field types that several models share: durations, ports, protocols, percentages, exportTo."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo

from .field_errors import Reason, field_error
from .names import is_label
from .not_modelled import NotModelled
from .strict_model import StrictModel

_MILLISECONDS: Final = {
    "h": Decimal(3_600_000),
    "m": Decimal(60_000),
    "s": Decimal(1000),
    "ms": Decimal(1),
    "us": Decimal("0.001"),
    "µs": Decimal("0.001"),
    "ns": Decimal("0.000001"),
}
_UNITS: Final = "ms|us|µs|ns|h|m|s"
_NUMBER: Final = r"(?:\d+(?:\.\d*)?|\.\d+)"
_DURATION: Final = re.compile(rf"(?:{_NUMBER}(?:{_UNITS}))+")
_DURATION_PART: Final = re.compile(rf"({_NUMBER})({_UNITS})")
_DURATION_REMEDY: Final = "write it like 1h, 1m, 1s or 1ms; 0.5s and 1m30s are valid too"
#: The protocols of a port, as Istio names them. It ignores the case.
PROTOCOLS: Final = frozenset(
    {
        "DOUBLE-HBONE",
        "GRPC",
        "GRPC-WEB",
        "HBONE",
        "HTTP",
        "HTTP2",
        "HTTPS",
        "HTTP_PROXY",
        "MONGO",
        "MYSQL",
        "REDIS",
        "TCP",
        "TLS",
        "UDP",
    }
)
HTTP_PROTOCOLS: Final = frozenset({"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB"})
TLS_PROTOCOLS: Final = frozenset({"HTTPS", "TLS"})


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


def _parse_protocol(value: str) -> str:
    protocol = value.upper()
    if protocol not in PROTOCOLS:
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not a protocol',
            "use HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TCP, TLS, MONGO, MYSQL, REDIS or UDP",
        )
    return protocol


def _parse_any_protocol(value: str | None) -> str | None:
    return _parse_protocol(value) if value else None


#: In capitals.
Protocol = Annotated[str, AfterValidator(_parse_protocol)]
#: The same where Istio can also find out the protocol; then it is None.
AnyProtocol = Annotated[str | None, AfterValidator(_parse_any_protocol)]
Port = Annotated[int, Field(ge=1, le=65535)]
#: A field of a CustomResourceDefinition's type uint32.
Unsigned = Annotated[int, Field(ge=0, le=2**32 - 1)]
PercentInt = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Percent(StrictModel):
    """A percentage of requests. Envoy ignores what is smaller than 0.0001 %."""

    value: Annotated[float, Field(ge=0, le=100)] = 0.0


class PortSelector(StrictModel):
    number: Port


def check_fault_percent(percent: Percent | None) -> Percent | None:
    """Return the percentage of a fault; raise a field error if Envoy would read it as 0."""
    if percent is not None and 0 < percent.value < 0.0001:
        raise field_error(
            Reason.BAD_VALUE,
            f"the percentage {percent.value:g} is neither 0 nor from 0.0001 to 100",
            "set it to 0, or to 0.0001 or more",
            at=("value",),
        )
    return percent


FaultPercent = Annotated[Percent, AfterValidator(check_fault_percent)]


def _check_export_to(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    _check_visibility(value, info, nobody=False)
    return value


def _check_entry_export_to(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    _check_visibility(value, info, nobody=True)
    return value


def _check_visibility(value: tuple[str, ...], info: ValidationInfo, *, nobody: bool) -> None:
    own = (info.context or {}).get("namespace")
    names = [own if each == "." and own else each for each in value]
    alone = {"*", "~"} & set(names)
    remedy = 'list the names of namespaces, or write ["."] or ["*"]'
    for name in names:
        if not (name in {".", "*"} or is_label(name) or (name == "~" and nobody)):
            raise field_error(Reason.BAD_VALUE, f'"{name}" is not a namespace', remedy)
    if len(set(names)) < len(names):
        raise field_error(Reason.BAD_VALUE, "exportTo names a namespace twice", "remove one")
    if alone and len(names) > 1:
        raise field_error(
            Reason.BAD_VALUE, f'"{alone.pop()}" must be the only item of exportTo', remedy
        )


_EXPORT_TO: Final = NotModelled(
    "exportTo",
    "which namespaces see the object isn't checked",
    apart_from=("*",),
    changes_requests=False,
)
#: The namespaces that see an object.
ExportTo = Annotated[tuple[str, ...], AfterValidator(_check_export_to), _EXPORT_TO]
#: The same for a ServiceEntry, which may be exported to nobody (``~``).
EntryExportTo = Annotated[tuple[str, ...], AfterValidator(_check_entry_export_to), _EXPORT_TO]
