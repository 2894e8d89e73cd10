"""A tally as Prometheus' text format 0.0.4: locust's own image has no library for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .latencies import cumulated
from .versions import Release, Tally

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds: those of the service, so that both can be laid over each other.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
_OUTCOMES: Final = ("ok", "failed", "wrong")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(tally: Tally, users: int) -> str:
    """Return the exposition: requests and latencies by version and track, and the users."""
    return "\n".join((*_users(users), *_requests(tally), *_latencies(tally))) + "\n"


def _users(users: int) -> Iterator[str]:
    yield "# HELP load_users Simulated users."
    yield "# TYPE load_users gauge"
    yield f"load_users {users}"


def _requests(tally: Tally) -> Iterator[str]:
    yield "# HELP load_requests_total Requests by the release that answered, and how."
    yield "# TYPE load_requests_total counter"
    for release, each in tally.releases.items():
        counts = (each.requests - each.failures, each.failures - each.wrong, each.wrong)
        for outcome, count in zip(_OUTCOMES, counts, strict=True):
            yield f'load_requests_total{{{_labels(release)},outcome="{outcome}"}} {count}'


def _latencies(tally: Tally) -> Iterator[str]:
    name = "load_request_duration_seconds"
    yield f"# HELP {name} Time from request to answer, as clients saw it."
    yield f"# TYPE {name} histogram"
    for release, each in tally.releases.items():
        labels = _labels(release)
        *counts, total = cumulated(each.latencies, BOUNDS)
        for bound, count in zip(BOUNDS, counts, strict=True):
            yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
        yield f'{name}_bucket{{{labels},le="+Inf"}} {total}'
        yield f"{name}_sum{{{labels}}} {each.total_seconds}"
        yield f"{name}_count{{{labels}}} {total}"


def _labels(release: Release) -> str:
    # Not "version" and "track": a scrape may add these from the pod that it asks.
    names = ("kv_version", "kv_track")
    return ",".join(
        f'{name}="{part.translate(_ESCAPES)}"' for name, part in zip(names, release, strict=True)
    )
