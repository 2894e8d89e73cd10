"""Fault injection: delays and aborts (Istio's HTTPFaultInjection)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Duration, FaultPercent, PercentInt
from .strict_model import StrictModel

#: In the order of their numeric codes: https://grpc.io/docs/guides/status-codes/
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


def _check_grpc_status(value: str) -> str:
    if value not in GRPC_STATUSES:
        raise field_error(
            Reason.BAD_VALUE, f'"{value}" is not a gRPC status', "use a name such as UNAVAILABLE"
        )
    return value


def _refuse_exponential(_: timedelta) -> timedelta:
    raise field_error(Reason.BAD_VALUE, "Istio has no exponential delays", "use fixedDelay")


def _refuse_http2(_: str) -> str:
    raise field_error(Reason.BAD_VALUE, "Istio has no HTTP/2 aborts", "use httpStatus")


class Delay(StrictModel):
    #: None means that Envoy delays no request.
    fixed_delay: Duration | None = None
    #: None means 0 %: Envoy then delays no request.
    percentage: FaultPercent | None = None
    #: Deprecated: ``percentage`` counts before it.
    percent: PercentInt | None = None
    exponential_delay: Annotated[Duration, AfterValidator(_refuse_exponential)] | None = None


class Abort(StrictModel):
    """Without a status, Envoy aborts no request."""

    http_status: Annotated[int, Field(ge=200, le=600)] | None = None
    grpc_status: Annotated[str, AfterValidator(_check_grpc_status)] | None = None
    #: None means 0 %: Envoy then aborts no request.
    percentage: FaultPercent | None = None
    http2_error: Annotated[str, AfterValidator(_refuse_http2)] | None = Field(
        default=None, alias="http2Error"
    )

    @model_validator(mode="after")
    def _check_one_status(self) -> Abort:
        if self.http_status is not None and self.grpc_status is not None:
            raise field_error(
                Reason.BAD_VALUE,
                "an abort can't have two statuses",
                "set either httpStatus or grpcStatus",
            )
        return self


class Fault(StrictModel):
    """Envoy draws each percentage independently: a request may be delayed, aborted or both."""

    delay: Delay | None = None
    abort: Abort | None = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> Fault:
        if self.delay is None and self.abort is None:
            raise field_error(
                Reason.BAD_VALUE, "the fault has neither delay nor abort", "add delay or abort"
            )
        return self
