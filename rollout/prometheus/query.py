"""Which counters to read: the metric names, the release label, the latency edges. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..evidence.counts import Arm
from ..evidence.failures import FAILED_GRPC_STATUS, FAILED_STATUS


@dataclass(frozen=True, slots=True)
class MetricNames:
    """The names of one exporter's metrics and labels, and the statuses that are failures.

    ``counter`` counts requests. ``histogram`` (without ``_bucket``) has their durations. A request
    failed if one of the labels in ``failed`` matches its regular expression.
    ``unit_seconds`` is the unit of the label ``le`` in seconds. ``started`` is the gauge with an
    instance's start time (Unix time in seconds), None if the exporter has none. ``paired`` is True
    if one instance counts the requests of all releases, as a proxy does.
    """

    counter: str
    histogram: str
    failed: tuple[tuple[str, str], ...]
    unit_seconds: float
    started: str | None
    paired: bool

    def has_failed(self, labels: Mapping[str, str]) -> bool:
        """Return True if a series with these labels counts failed requests."""
        return any(re.fullmatch(each, labels.get(label, "")) for label, each in self.failed)


#: Istio's standard metrics, from the caller's proxy: they include requests that reached no pod.
#: Envoy reports response_code 0 if it got no response.
ISTIO: Final = MetricNames(
    counter="istio_requests_total",
    histogram="istio_request_duration_milliseconds",
    failed=(("response_code", FAILED_STATUS), ("grpc_response_status", FAILED_GRPC_STATUS)),
    unit_seconds=0.001,
    started=None,
    paired=True,
)
#: The service's own metrics (OpenTelemetry names): they miss requests that never reached it.
APP: Final = MetricNames(
    counter="http_server_request_duration_seconds_count",
    histogram="http_server_request_duration_seconds",
    failed=(("http_response_status_code", FAILED_STATUS),),
    unit_seconds=1.0,
    started="process_start_time_seconds",
    paired=False,
)


#: Istio's label with the name of the Service that a request was sent to.
SERVICE_LABEL: Final = "destination_service_name"


@dataclass(frozen=True, slots=True)
class ReleaseLabel:
    """The metric label that names the release, and its value for each arm.

    Examples of ``name``: ``track``, ``destination_workload``.
    """

    name: str
    stable: str
    canary: str
    baseline: str | None = None

    def arm_of(self, value: str) -> Arm:
        """Return the arm with this label value."""
        if value == self.stable:
            return Arm.STABLE
        if value == self.canary:
            return Arm.CANARY
        return Arm.BASELINE if value and value == self.baseline else Arm.NEITHER


@dataclass(frozen=True, slots=True)
class Query:
    """``matchers`` are labels and values; ``edges`` are bounds of the histogram, in seconds.

    ``patterns`` are labels and regular expressions, which match too.
    """

    metrics: MetricNames
    release_label: ReleaseLabel
    matchers: Mapping[str, str]
    edges: tuple[float, ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()

    @property
    def counter(self) -> str:
        """Return the name of the series that counts requests.

        With edges, it is the histogram's ``_count``. Envoy exposes counters at once, but histograms
        only as of the last flush (every 5 s by default). If the count came from the counter, the
        requests since the last flush would all look slow.
        """
        return f"{self.metrics.histogram}_count" if self.edges else self.metrics.counter

    @property
    def native(self) -> str | None:
        """Return the name that the histogram has where Prometheus stores it as a native one.

        Then it has neither ``_count`` nor ``_bucket``. None if no histogram is counted.
        """
        histogram = self.metrics.histogram
        return histogram if self.counter == f"{histogram}_count" else None


def istio_query(
    service: str | Sequence[str],
    namespace: str,
    release_label: ReleaseLabel,
    edges: tuple[float, ...] = (),
    reporter: str = "source",
) -> Query:
    """Query what callers of a Service, or of several, saw, from Istio's standard metrics.

    ``reporter`` is "source" for the callers' own proxies, "waypoint" for those of the ambient mode.

    If the release label is that of the Services, each release is one: then both are queried.

    Istio sets the release label to ``unknown`` for a request that reached no pod. Such requests are
    evidence for neither release.
    """
    matchers = {"reporter": reporter, "destination_service_namespace": namespace}
    services = [service] if isinstance(service, str) else [*service]
    if release_label.name == SERVICE_LABEL:
        arms = (release_label.stable, release_label.canary, release_label.baseline)
        services = [each for each in arms if each]
    if len(services) == 1:
        return Query(ISTIO, release_label, {**matchers, SERVICE_LABEL: services[0]}, edges)
    return Query(ISTIO, release_label, matchers, edges, ((SERVICE_LABEL, "|".join(services)),))


def app_query(namespace: str, release_label: ReleaseLabel, edges: tuple[float, ...] = ()) -> Query:
    """Query what the releases' own pods counted, from the service's request histogram."""
    return Query(APP, release_label, {"namespace": namespace}, edges)
