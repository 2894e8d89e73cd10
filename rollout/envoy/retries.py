"""When Envoy asks again: Istio's default and what a route says of it."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.retries import DEFAULT_ATTEMPTS, DEFAULT_CONDITIONS, Retries
from .protobuf import duration, extension

#: Without statuses it names no answer: 503 left the default in Istio 1.24.
_BY_STATUS: Final = "retriable-status-codes"
_DEFAULT: Final = ",".join((*DEFAULT_CONDITIONS, _BY_STATUS))
#: How often another pod is drawn if the one drawn was asked before.
_DRAWS: Final = 5
#: Statuses with a name in Go; istiod hands other numbers on as names, which Envoy ignores.
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
    """Return the policy, None for no retries.

    ``hashed`` says that the route's only destination is a consistent hash: then a retry may go to
    the same pod.
    """
    if retries is None:
        retries = Retries(attempts=DEFAULT_ATTEMPTS)
    if not retries.attempts:
        return None
    elsewhere = not hashed
    if retries.retry_ignore_previous_hosts is not None:
        elsewhere = retries.retry_ignore_previous_hosts
    return {
        "num_retries": retries.attempts,
        **_conditions(retries.retry_on),
        "host_selection_retry_max_attempts": _DRAWS,
        **({"retry_host_predicate": [_previous_hosts()]} if elsewhere else {}),
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


def _conditions(said: str | None) -> dict[str, Any]:
    if not said:
        return {"retry_on": _DEFAULT}
    pieces = said.split(",")
    statuses = [int(each) for each in pieces if _is_status(each)]
    names = [each for each in pieces if not _is_status(each)]
    if not statuses:
        return {"retry_on": ",".join(names)}
    if _BY_STATUS not in names:
        names.append(_BY_STATUS)
    return {"retry_on": ",".join(names), "retriable_status_codes": statuses}


def _is_status(piece: str) -> bool:
    return piece.isdecimal() and int(piece) in _STATUSES


def _previous_hosts() -> dict[str, Any]:
    return extension(
        "envoy.retry_host_predicates.previous_hosts",
        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    )
