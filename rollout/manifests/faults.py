"""Fault injection: delays and aborts (Istio's HTTPFaultInjection)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Duration, Percent
from .strict_model import StrictModel, unsupported

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
_DEPRECATED_PERCENT: Final = unsupported(
    "the deprecated field percent", "write percentage: {value: …}"
)


def _check_grpc_status(value: str) -> str:
    if value not in GRPC_STATUSES:
        raise field_error(
            Reason.BAD_VALUE, f'"{value}" is not a gRPC status', "use a name such as UNAVAILABLE"
        )
    return value


class Delay(StrictModel):
    fixed_delay: Duration
    #: None means 0 %: Envoy then delays no request.
    percentage: Percent | None = None
    percent: Annotated[Any, _DEPRECATED_PERCENT] = None
    exponential_delay: Annotated[
        Any, unsupported("exponentialDelay, which Istio never implemented,", "use fixedDelay")
    ] = None


class Abort(StrictModel):
    http_status: Annotated[int, Field(ge=200, le=599)] | None = None
    grpc_status: Annotated[str, AfterValidator(_check_grpc_status)] | None = None
    #: None means 0 %: Envoy then aborts no request.
    percentage: Percent | None = None
    percent: Annotated[Any, _DEPRECATED_PERCENT] = None
    http2_error: Annotated[
        Any, unsupported("http2Error, which Istio never implemented,", "use httpStatus")
    ] = Field(default=None, alias="http2Error")

    @model_validator(mode="after")
    def _check_one_status(self) -> Abort:
        if (self.http_status is None) == (self.grpc_status is None):
            raise field_error(
                Reason.BAD_VALUE,
                "an abort needs exactly one status",
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
