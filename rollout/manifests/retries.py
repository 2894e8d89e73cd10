"""When a proxy asks again."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from .part import Part, unsupported
from .refusals import Reason, refuse
from .values import Duration

#: What Envoy knows; Istio's webhook takes these, and statuses.
CONDITIONS: Final = frozenset(
    {
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    }
)
#: What Istio does where a route says nothing of retries.
DEFAULT_ATTEMPTS: Final = 2
DEFAULT_CONDITIONS: Final = ("connect-failure", "refused-stream", "unavailable", "cancelled")


def _conditions(value: str) -> str:
    for said in value.split(","):
        status = said.isdecimal() and 100 <= int(said) <= 599
        if said not in CONDITIONS and not status:
            raise refuse(
                Reason.BAD_VALUE,
                f'"{said}" is no condition to retry on',
                "use Envoy's names or statuses, with commas and no blanks between",
            )
    return value


class Retries(Part):
    """``attempts`` counts the retries, the first try not among them."""

    attempts: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    per_try_timeout: Duration | None = None
    retry_on: Annotated[str, AfterValidator(_conditions)] | None = None
    backoff: Duration | None = None
    retry_ignore_previous_hosts: bool | None = None
    retry_remote_localities: Annotated[
        Any, unsupported("retries in other localities", "leave retryRemoteLocalities out")
    ] = None

    @model_validator(mode="after")
    def _agree(self) -> Retries:
        said = self.per_try_timeout or self.retry_on or self.backoff
        if self.attempts == 0 and said:
            raise refuse(
                Reason.RETRIES_CONTRADICT,
                "no attempts, and yet how to make them: Istio's webhook refuses that",
                "leave only attempts: 0, or raise attempts",
            )
        return self

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return what is retried: none without attempts, Istio's default where nothing is said."""
        if not self.attempts:
            return ()
        return tuple(self.retry_on.split(",")) if self.retry_on else DEFAULT_CONDITIONS
