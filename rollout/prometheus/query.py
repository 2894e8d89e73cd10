"""What is asked of Prometheus: whose series, which label names the release, which latency edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ..evidence.counts import Arm

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Flavour:
    """Whose metrics: their names, and how a failure looks.

    ``counter`` counts requests, ``histogram`` (without ``_bucket``) their durations; ``status`` is
    the label of both that ``failed``, a regular expression, picks failures by. ``unit_seconds`` is
    how long 1 is in the label ``le``. ``started`` is the gauge of an instance's birth, Unix time in
    seconds, where there is one.
    """

    counter: str
    histogram: str
    status: str
    failed: str
    unit_seconds: float
    started: str | None


#: As the caller's proxy counts: also what no pod ever saw. Its status 0: there was no answer.
ISTIO: Final = Flavour(
    counter="istio_requests_total",
    histogram="istio_request_duration_milliseconds",
    status="response_code",
    failed="5..|0",
    unit_seconds=0.001,
    started=None,
)
#: As the service itself counts: blind for what never reached it.
APP: Final = Flavour(
    counter="http_server_request_duration_seconds_count",
    histogram="http_server_request_duration_seconds",
    status="http_response_status_code",
    failed="5..",
    unit_seconds=1.0,
    started="process_start_time_seconds",
)


@dataclass(frozen=True, slots=True)
class Arms:
    """The label that names the release (``track``, ``destination_version``), and its two values."""

    label: str
    stable: str
    canary: str

    def arm(self, value: str) -> Arm | None:
        """Return whose the value is, None if neither's."""
        if value == self.stable:
            return Arm.STABLE
        return Arm.CANARY if value == self.canary else None


@dataclass(frozen=True, slots=True)
class Question:
    """``edges`` are seconds, each a bound of the histogram; ``matchers`` are labels and values."""

    flavour: Flavour
    arms: Arms
    edges: tuple[float, ...] = ()
    matchers: Mapping[str, str] = field(default_factory=lambda: _NONE)

    @property
    def counter(self) -> str:
        """Return the series that counts requests.

        With edges it is the histogram's own. Envoy shows its counters at once and its histograms
        only as of the last flush (each 5 s by default): taken from both, the newest requests would
        all look slow.
        """
        return f"{self.flavour.histogram}_count" if self.edges else self.flavour.counter


def ask_istio(
    service: str,
    namespace: str,
    arms: Arms,
    edges: tuple[float, ...] = (),
    matchers: Mapping[str, str] = _NONE,
) -> Question:
    """Ask what callers saw of a Service, by Istio's standard metrics.

    Istio doesn't know the release of a request that reached no pod: such ones have the value
    ``unknown`` and are nobody's evidence.
    """
    given = {
        "reporter": "source",
        "destination_service_name": service,
        "destination_service_namespace": namespace,
    }
    return Question(ISTIO, arms, edges, MappingProxyType({**given, **matchers}))


def ask_app(
    namespace: str,
    arms: Arms,
    edges: tuple[float, ...] = (),
    matchers: Mapping[str, str] = _NONE,
) -> Question:
    """Ask what the releases themselves counted, by the service's own histogram."""
    return Question(APP, arms, edges, MappingProxyType({"namespace": namespace, **matchers}))
