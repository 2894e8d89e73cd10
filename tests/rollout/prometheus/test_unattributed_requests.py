"""Requests of neither release are reported while they arrive, and for a minute after that."""

from __future__ import annotations

from rollout.evidence.counts import CounterSnapshot
from rollout.prometheus.query import ReleaseLabel, istio_query
from rollout.prometheus.unattributed_requests import UnattributedRequests


class _FakeSource:
    """A source with a number of unattributed requests that the test sets."""

    def __init__(self) -> None:
        self.unattributed = 7
        self.at = 1000.0

    async def read(self) -> CounterSnapshot:
        return CounterSnapshot(self.at, {}, {})


async def test_unattributed_requests_are_reported_for_a_minute() -> None:
    fake = _FakeSource()
    question = istio_query(
        "kv", "shop", ReleaseLabel("destination_workload", "kv-stable", "kv-canary")
    )
    source = UnattributedRequests(fake, question)

    async def explanation_after(seconds: float, more: int) -> str:
        fake.at += seconds
        fake.unattributed += more
        await source.read()
        return source.explain_missing_data()

    # Requests from before the rollout are not reported.
    assert await explanation_after(0, 0) == ""
    explanation = await explanation_after(15, 3)
    assert "destination_workload is neither kv-stable nor kv-canary" in explanation
    assert await explanation_after(15, 0) == explanation
    assert await explanation_after(46, 0) == ""
    # A proxy restarted.
    assert await explanation_after(15, -9) == ""
