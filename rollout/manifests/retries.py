"""How Envoy retries requests (Istio's HTTPRetry)."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Duration
from .not_modelled import NotModelled
from .strict_model import StrictModel

#: Envoy's retry conditions; Istio's webhook accepts these names and HTTP statuses.
#: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter
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
#: The HTTP statuses that have a name.
_STATUSES: Final = frozenset(
    str(status)
    for first, last in (
        (100, 103), (200, 208), (226, 226), (300, 305), (307, 308), (400, 418), (421, 426),
        (428, 429), (431, 431), (451, 451), (500, 508), (510, 511),
    )
    for status in range(first, last + 1)
)  # fmt: skip
#: Istio's defaults for a route without ``retries``.
DEFAULT_ATTEMPTS: Final = 2
DEFAULT_CONDITIONS: Final = ("connect-failure", "refused-stream", "unavailable", "cancelled")


def _check_conditions(value: str) -> str:
    for condition in value.split(","):
        if condition not in CONDITIONS and condition not in _STATUSES:
            raise field_error(
                Reason.BAD_VALUE,
                f'"{condition}" is not a retry condition',
                "list Envoy's conditions or HTTP statuses, separated by commas without spaces",
            )
    return value


class Retries(StrictModel):
    """``attempts`` is the number of retries; the first try does not count."""

    attempts: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    per_try_timeout: Duration | None = None
    retry_on: Annotated[str, AfterValidator(_check_conditions)] | None = None
    backoff: Duration | None = None
    retry_ignore_previous_hosts: bool | None = None
    retry_remote_localities: Annotated[
        bool | None,
        NotModelled("retrying in other localities", "the localities of retries aren't checked"),
    ] = None

    @model_validator(mode="after")
    def _check_attempts(self) -> Retries:
        configured = (
            self.per_try_timeout or self.retry_on or self.retry_remote_localities is not None
        )
        if self.attempts == 0 and configured:
            raise field_error(
                Reason.RETRIES_CONTRADICT,
                "attempts is 0, but other fields configure retries; Istio's webhook rejects that",
                "keep only attempts: 0, or raise attempts",
            )
        return self

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return the retry conditions; none if attempts is 0, Istio's default if none is set."""
        if not self.attempts:
            return ()
        return tuple(self.retry_on.split(",")) if self.retry_on else DEFAULT_CONDITIONS
