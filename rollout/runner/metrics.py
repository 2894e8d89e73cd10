"""Prometheus metrics about the rollout itself, and a small HTTP server for them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ..evidence.counts import BOTH, Arm, Counts
from .events import VERDICTS, Event, EventKind, EvidenceValues

#: The largest number of hold reasons with a series of their own; further ones count as "other".
_MAX_REASONS: Final = 20
_KINDS: Final = ("harm", "merit", "breach", "mismatch")
_TRACKS: Final = BOTH
_NOTHING: Final = Counts(0, 0)


class RolloutMetrics:
    """A few dozen series about one rollout, in a registry of their own.

    Scrape with ``honorLabels: true``, because the label ``namespace`` is that of the release.
    """

    def __init__(self, namespace: str, rollout: str) -> None:
        self.registry = CollectorRegistry()
        self._labels: Final = (namespace, rollout)
        self._reasons: set[str] = set()
        #: False until this runner has begun or resumed the rollout.
        self.watching = False
        self._weight = self._gauge("weight_ratio", "Desired share of the requests.", "track")
        self._step = self._gauge("step", "Number of the step in force, from 0.")
        self._poll = self._gauge(
            "last_poll_timestamp_seconds", "Unix time of the last window of evidence."
        )
        self._evidence = self._gauge(
            "evidence_log10", "Decimal logarithm of the e-value so far.", "kind"
        )
        self._thresholds = self._gauge(
            "evidence_threshold_log10", "Decimal logarithm that decides a verdict.", "kind"
        )
        self._verdict = self._gauge(
            "verdict", "1 for the verdict that ended the rollout.", "verdict"
        )
        self._requests = self._counter("requests", "Requests counted as evidence.", "track")
        self._failures = self._counter("failures", "Counted requests that failed.", "track")
        self._holds = self._counter("holds", "Times that a step was held, by reason.", "reason")
        for track in _TRACKS:  # export zero before the first request
            self._requests.labels(*self._labels, track)
            self._failures.labels(*self._labels, track)
        for verdict in VERDICTS:
            self._verdict.labels(*self._labels, verdict).set(0)

    def observe_event(self, event: Event) -> None:
        """Update the series; call it for each event in order."""
        self.watching = True
        if event.number is not None:
            self._step.labels(*self._labels).set(event.number)
        if event.share is not None:
            self._weight.labels(*self._labels, Arm.CANARY).set(event.share)
            beside = event.baseline_share
            self._weight.labels(*self._labels, Arm.STABLE).set(1 - event.share - (beside or 0.0))
            if beside is not None:
                self._weight.labels(*self._labels, Arm.BASELINE).set(beside)
        if event.thresholds is not None:
            self._show(self._thresholds, event.thresholds)
        if event.evidence is not None:
            self._show(self._evidence, event.evidence)
        if event.kind is EventKind.WINDOW:
            self._poll.labels(*self._labels).set(event.until or event.time)
            # The counts of stable include the baseline's.
            self._count(Arm.STABLE, event.stable, less=event.baseline or _NOTHING)
            self._count(Arm.CANARY, event.canary)
            self._count(Arm.BASELINE, event.baseline)
        elif event.kind is EventKind.HELD:
            self._holds.labels(*self._labels, self._reason(event.reason)).inc()
        elif event.kind in VERDICTS:
            for verdict in VERDICTS:
                self._verdict.labels(*self._labels, verdict).set(verdict is event.kind)

    def _count(self, track: Arm, counts: Counts | None, less: Counts = _NOTHING) -> None:
        if counts is not None:
            self._requests.labels(*self._labels, track).inc(counts.requests - less.requests)
            self._failures.labels(*self._labels, track).inc(counts.failures - less.failures)

    def _show(self, gauge: Gauge, values: EvidenceValues) -> None:
        for kind in _KINDS:
            value: float = getattr(values, kind)
            gauge.labels(*self._labels, kind).set(math.log10(value) if value > 0 else -math.inf)

    def _reason(self, reason: str) -> str:
        if len(self._reasons) < _MAX_REASONS:
            self._reasons.add(reason)
        return reason if reason in self._reasons else "other"

    def _gauge(self, name: str, doc: str, *labels: str) -> Gauge:
        names = ("namespace", "rollout", *labels)
        return Gauge(f"kv_rollout_{name}", doc, names, registry=self.registry)

    def _counter(self, name: str, doc: str, *labels: str) -> Counter:
        names = ("namespace", "rollout", *labels)
        return Counter(f"kv_rollout_{name}", doc, names, registry=self.registry)


@contextlib.asynccontextmanager
async def serve_metrics(metrics: RolloutMetrics, host: str, port: int) -> AsyncIterator[int]:
    """Serve /metrics until the block ends; yield the port. Port 0 lets the system choose one.

    /livez answers 200 while the process turns, /readyz once this runner watches the rollout: before
    that, another runner may hold it. Raise OSError if the port is taken.
    """

    async def show(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def live(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        if metrics.watching:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="this runner does not watch the rollout yet\n")

    app = web.Application()
    app.add_routes([web.get("/metrics", show), web.get("/livez", live), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
