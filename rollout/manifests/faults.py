"""Faults on purpose: delays and aborts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from .part import Part, unsupported
from .refusals import Reason, refuse
from .values import Duration, Percent

#: In the order of their numbers: https://grpc.io/docs/guides/status-codes/
GRPC_STATUSES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_PERCENT: Final = unsupported("percent is deprecated", "write percentage: {value: …}")


def _grpc_status(value: str) -> str:
    if value not in GRPC_STATUSES:
        raise refuse(
            Reason.BAD_VALUE, f'"{value}" is no gRPC status', "use a name such as UNAVAILABLE"
        )
    return value


class Delay(Part):
    fixed_delay: Duration
    #: None stands for no request at all.
    percentage: Percent | None = None
    percent: Annotated[Any, _PERCENT] = None
    exponential_delay: Annotated[
        Any, unsupported("Istio never implemented exponentialDelay", "use fixedDelay")
    ] = None


class Abort(Part):
    http_status: Annotated[int, Field(ge=200, le=599)] | None = None
    grpc_status: Annotated[str, AfterValidator(_grpc_status)] | None = None
    #: None stands for no request at all.
    percentage: Percent | None = None
    percent: Annotated[Any, _PERCENT] = None
    http2_error: Annotated[
        Any, unsupported("Istio never implemented http2Error", "use httpStatus")
    ] = Field(default=None, alias="http2Error")

    @model_validator(mode="after")
    def _one_status(self) -> Abort:
        if (self.http_status is None) == (self.grpc_status is None):
            raise refuse(
                Reason.BAD_VALUE,
                "an abort has one status",
                "give either httpStatus or grpcStatus",
            )
        return self


class Fault(Part):
    """Each share is drawn anew: a request may be delayed, aborted or both."""

    delay: Delay | None = None
    abort: Abort | None = None

    @model_validator(mode="after")
    def _some(self) -> Fault:
        if self.delay is None and self.abort is None:
            raise refuse(Reason.BAD_VALUE, "a fault that does nothing", "add delay or abort")
        return self
