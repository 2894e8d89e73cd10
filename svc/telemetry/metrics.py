"""Every metric of the service.

Names follow OpenTelemetry's semantic conventions where one exists, in Prometheus' spelling. Version
and track are not labels here: the scrape adds them from the pod's labels. No label holds text from
a client: routes are templates, and unknown methods are ``_OTHER``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Final, TypeVar

from prometheus_client import GCCollector, ProcessCollector
from prometheus_client.registry import CollectorRegistry

from .instruments import Counter, Gauge, Histograms, Instrument, Instruments, Labels

#: Seconds. The conventions' buckets begin at 5 ms, which is longer than most requests here. Each
#: bound adds a series for each route and status: seven keep a pod below 1,500 series. They are
#: finest below the latency objective, 25 ms. Istio's histogram has bounds at 25, 100, 500 ms too.
REQUEST_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
ROUND_TRIP_BOUNDS: Final = (
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip
WAIT_BOUNDS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
LAG_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
BATCH_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128)

#: The events of watches, and why watches end.
WATCH_EVENTS: Final = ("entry", "counter", "deleted", "synced", "reset", "goodbye", "heartbeat")
WATCH_ENDS: Final = (
    "client_left",
    "draining",
    "slow",
    "expired_token",
    "refused",
    "answered",
    "timeout",
)

READS: Final = ("read", "read_counter")
LISTS: Final = ("list_entries", "list_counters", "delete_prefix")
WRITES: Final = ("write", "swap", "delete", "add", "set_counter", "delete_counter")
#: The values of the label ``lane``: each batcher of stores/redis.py.
BATCHERS: Final = ("read", "write", "add")

Added = TypeVar("Added", bound=Instrument)


class Metrics:
    """The instruments of one process, and the registry that holds them."""

    def __init__(self, revision: str) -> None:
        self.registry = CollectorRegistry()
        self._instruments = Instruments()
        self.registry.register(self._instruments)
        ProcessCollector(registry=self.registry)
        # No PlatformCollector: its label "version" would collide with the pod's.
        GCCollector(registry=self.registry)

        self.requests = self._histograms(
            "http_server_request_duration_seconds",
            "Time from a request's head to its response, by method, route and status.",
            REQUEST_BOUNDS,
            ("http_request_method", "http_route", "http_response_status_code"),
        )
        self.rejected = self._counter(
            "kv_requests_rejected_total",
            "Requests refused before a handler was called.",
            ("reason",),
            [
                ("overloaded",),
                ("malformed",),
                ("header_timeout",),
                ("foreign_host",),
                ("cross_site",),
                ("unauthenticated",),
                ("too_many_watchers",),
            ],
        )
        self.sends_aborted = self._counter(
            "kv_sends_aborted_total",
            "Connections aborted because the client did not receive its answer in time.",
            known=[()],
        )
        self.operations = self._counter(
            "kv_operations_total",
            "Operations on entries and counters; each operation of a batch counts.",
            ("operation", "result"),
            [
                *product(READS, ("hit", "miss", "error")),
                *product(LISTS, ("ok", "conflict", "error")),
                *product(WRITES, ("ok", "miss", "conflict", "error")),
            ],
        )

        self.watch_events = self._counter(
            "kv_watch_events_total",
            "Events sent to watchers, by their name.",
            ("event",),
            [(name,) for name in WATCH_EVENTS],
        )
        self.watch_resets = self._counter(
            "kv_watch_resets_total",
            "Watches that had to begin anew with the present state, by the reason.",
            ("reason",),
            [("missed",), ("unknown_position",)],
        )
        self.watches_ended = self._counter(
            "kv_watches_ended_total",
            "Watches that ended, by the reason.",
            ("reason",),
            [(reason,) for reason in WATCH_ENDS],
        )

        self.round_trips = self._histograms(
            "db_client_operation_duration_seconds",
            "Round trips to Redis; error_type is empty if all commands were executed.",
            ROUND_TRIP_BOUNDS,
            ("db_operation_name", "error_type"),
        )
        self.coalesced_operations = self._histograms(
            "kv_coalesced_operations",
            "Operations in one round trip.",
            BATCH_BOUNDS,
            ("lane",),
        )
        for name in BATCHERS:
            self.coalesced_operations[name,]  # creates the series, which then starts at zero
        self.connection_waits = self._histograms(
            "db_client_connection_wait_time_seconds",
            "Time to get a connection to Redis.",
            WAIT_BOUNDS,
        )[()]
        self.connection_wait_timeouts = self._counter(
            "db_client_connection_timeouts_total",
            "Round trips abandoned because no connection became free in time.",
            known=[()],
        )
        self.store_failures = self._counter(
            "kv_store_failures_total",
            "Round trips to Redis that failed, by the reason.",
            ("reason",),
        )

        self.token_reloads = self._counter(
            "kv_token_reloads_total",
            "Times that a changed tokens file was read.",
            ("result",),
            [("ok",), ("failed",)],
        )
        self.rate_limits_unchecked = self._counter(
            "kv_rate_limits_unchecked_total",
            "Requests let in although the store could not count them.",
            known=[()],
        )
        self.tls_handshakes_failed = self._counter(
            "kv_tls_handshakes_failed_total",
            "TLS handshakes of clients that failed, by the reason.",
            ("reason",),
        )
        self.loop_lag = self._histograms(
            "kv_event_loop_lag_seconds",
            "How late the event loop called a timer, observed 20 times a second.",
            LAG_BOUNDS,
        )[()]
        self.trace_decisions = self._counter(
            "kv_trace_decisions_total",
            "Requests by sampling decision; capped: more than KV_TRACES_PER_SECOND.",
            ("origin", "decision"),
            product(("parent", "root"), ("sampled", "dropped", "capped")),
        )
        self.spans_exported = self._counter(
            "kv_spans_exported_total", "Spans that the collector accepted.", known=[()]
        )
        self.spans_dropped = self._counter(
            "kv_spans_dropped_total",
            "Spans that never reached the collector.",
            ("reason",),
            [("queue_full",), ("export_failed",), ("shutdown",)],
        )
        self.log_records_dropped = self._counter(
            "kv_log_records_dropped_total",
            "Log lines lost: full queue, too many access lines in a second, or not writable.",
            ("reason",),
            [("queue_full",), ("rate_limited",), ("unwritten",)],
        )
        self._gauge(
            "kv_build_info",
            "Always 1; the labels name the revision and the Python version.",
            ("revision", "python_version"),
            read=lambda: {(revision, platform.python_version()): 1},
        )

    @property
    def names(self) -> list[str]:
        """Return the names of the service's own metrics, as in a scrape."""
        return self._instruments.names

    def count_log_drop(self, reason: str, lines: int) -> None:
        """Count lost log lines. Each reason is counted by one thread."""
        self.log_records_dropped[reason,] += lines

    def watch_lifecycle(
        self,
        *,
        active: Callable[[], int],
        ready: Callable[[], bool],
        draining: Callable[[], bool],
    ) -> None:
        """Add gauges of the lifecycle, which are read at each scrape."""
        self._gauge(
            "http_server_active_requests", "Requests in progress.", read=lambda: {(): active()}
        )
        self._gauge("kv_ready", "1 once the process serves.", read=lambda: {(): ready()})
        self._gauge("kv_draining", "1 from SIGTERM on.", read=lambda: {(): draining()})

    def watch_tokens(self, count: Callable[[], int], broken: Callable[[], bool]) -> None:
        """Add the metrics of the tokens file; the gauges are read at each scrape."""
        self._gauge("kv_tokens", "Tokens in use.", read=lambda: {(): count()})
        self._gauge(
            "kv_tokens_file_broken",
            "1 while the tokens file can't be used, and the tokens before it stay in use.",
            read=lambda: {(): broken()},
        )

    def watch_certificate(self, expiry: Callable[[], float]) -> None:
        """Add a gauge of when the ports' certificate expires, in seconds since the epoch."""
        self._gauge(
            "kv_tls_certificate_expiry_timestamp_seconds",
            "When the certificate of the ports expires.",
            read=lambda: {(): expiry()},
        )

    def watch_watchers(self, count: Callable[[], int]) -> None:
        """Add a gauge of the watches under way, which is read at each scrape."""
        self._gauge("kv_watchers", "Watches under way.", read=lambda: {(): count()})

    def watch_budget(self, held: Callable[[], int]) -> None:
        """Add a gauge of the bytes held of the byte budget, which is read at each scrape."""
        self._gauge(
            "kv_buffered_bytes",
            "Bytes of bodies, values and unsent answers held.",
            read=lambda: {(): held()},
        )

    def watch_connections(self, read: Callable[[], tuple[int, int, int]]) -> None:
        """Add gauges of connections to Redis; ``read`` returns the numbers idle, used, allowed."""

        def states() -> dict[Labels, float]:
            idle, used, _ = read()
            return {("idle",): idle, ("used",): used}

        self._gauge("db_client_connections", "Connections to Redis.", ("state",), read=states)
        self._gauge(
            "db_client_connections_max",
            "Connections to Redis allowed.",
            read=lambda: {(): read()[2]},
        )

    def _counter(
        self, name: str, doc: str, labels: Labels = (), known: Iterable[Labels] = ()
    ) -> Counter:
        return self._added(Counter(name, doc, labels, known))

    def _histograms(
        self, name: str, doc: str, bounds: Sequence[float], labels: Labels = ()
    ) -> Histograms:
        return self._added(Histograms(name, doc, bounds, labels))

    def _gauge(
        self,
        name: str,
        doc: str,
        labels: Labels = (),
        *,
        read: Callable[[], Mapping[Labels, float]],
    ) -> None:
        self._added(Gauge(name, doc, labels, read=read))

    def _added(self, instrument: Added) -> Added:
        self._instruments.add(instrument)
        return instrument
