"""The retry policy of a route: Istio's default, or the route's own."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.retries import DEFAULT_ATTEMPTS, DEFAULT_CONDITIONS, Retries
from .protobuf_json import duration, extension

#: Effective only together with statuses. Istio 1.24 removed 503 from the default.
_BY_STATUS: Final = "retriable-status-codes"
_DEFAULT: Final = ",".join((*DEFAULT_CONDITIONS, _BY_STATUS))
#: How often Envoy selects again if it has selected a pod that was tried before.
_HOST_SELECTION_ATTEMPTS: Final = 5
#: Statuses that Go's net/http names. istiod passes other numbers to Envoy as conditions, and Envoy
#: ignores them.
_STATUSES: Final = frozenset(
    {
        *range(100, 104),
        *range(200, 209),
        226,
        *range(300, 306),
        307,
        308,
        *range(400, 419),
        *range(421, 427),
        428,
        429,
        431,
        451,
        *range(500, 509),
        510,
        511,
    }
)


def retry_policy(retries: Retries | None, *, hashed: bool) -> dict[str, Any] | None:
    """Return Envoy's RetryPolicy, None for no retries.

    ``hashed`` is True if the route's only destination uses a consistent hash. Then a retry may go
    to the same pod.
    """
    if retries is None:
        retries = Retries(attempts=DEFAULT_ATTEMPTS)
    if not retries.attempts:
        return None
    other_host = not hashed
    if retries.retry_ignore_previous_hosts is not None:
        other_host = retries.retry_ignore_previous_hosts
    return {
        "num_retries": retries.attempts,
        **_conditions(retries.retry_on),
        "host_selection_retry_max_attempts": _HOST_SELECTION_ATTEMPTS,
        **({"retry_host_predicate": [_previous_hosts()]} if other_host else {}),
        **({"retry_priority": _other_localities()} if retries.retry_remote_localities else {}),
        **(
            {"per_try_timeout": duration(retries.per_try_timeout)}
            if retries.per_try_timeout
            else {}
        ),
        **(
            {"retry_back_off": {"base_interval": duration(retries.backoff)}}
            if retries.backoff
            else {}
        ),
    }


def _conditions(retry_on: str | None) -> dict[str, Any]:
    if not retry_on:
        return {"retry_on": _DEFAULT}
    conditions = retry_on.split(",")
    statuses = [int(each) for each in conditions if _is_status(each)]
    names = [each for each in conditions if not _is_status(each)]
    if not statuses:
        return {"retry_on": ",".join(names)}
    if _BY_STATUS not in names:
        names.append(_BY_STATUS)
    return {"retry_on": ",".join(names), "retriable_status_codes": statuses}


def _is_status(condition: str) -> bool:
    return condition.isdecimal() and int(condition) in _STATUSES


def _other_localities() -> dict[str, Any]:
    return extension(
        "envoy.retry_priorities.previous_priorities",
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        update_frequency=2,
    )


def _previous_hosts() -> dict[str, Any]:
    return extension(
        "envoy.retry_host_predicates.previous_hosts",
        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    )
