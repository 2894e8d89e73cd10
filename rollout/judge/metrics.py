"""The series of a judge: verdicts and evidence of the comparisons that have a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .comparison import Comparison
from .verdict import VERDICTS, judge

_NAME: Final = "comparison"


class ComparisonCollector(Collector):
    """Collects all series at each scrape, so those of an ended comparison end too."""

    def __init__(self, comparisons: Iterable[tuple[str, Comparison]]) -> None:
        self._comparisons = comparisons

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        verdict = GaugeMetricFamily(
            "kv_judge_verdict", "1 for the present verdict.", labels=[_NAME, "verdict"]
        )
        evidence = GaugeMetricFamily(
            "kv_judge_evidence_log10",
            "Decimal logarithm of the e-value so far.",
            labels=[_NAME, "kind"],
        )
        threshold = GaugeMetricFamily(
            "kv_judge_evidence_threshold_log10",
            "Decimal logarithm that decides a verdict.",
            labels=[_NAME, "kind"],
        )
        requests = CounterMetricFamily(
            "kv_judge_requests", "Requests counted as evidence.", labels=[_NAME, "track"]
        )
        failures = CounterMetricFamily(
            "kv_judge_failures", "Counted requests that failed.", labels=[_NAME, "track"]
        )
        age = GaugeMetricFamily(
            "kv_judge_data_age_seconds", "Age of the last requests.", labels=[_NAME, "track"]
        )
        polls = CounterMetricFamily(
            "kv_judge_polls", "Queries to Prometheus, by result.", labels=[_NAME, "result"]
        )
        for name, comparison in self._comparisons:
            facts = comparison.facts
            word = judge(facts).word
            for each in VERDICTS:
                verdict.add_metric([name, each.value], each is word)
            for kind, value in facts.values.e_values.items():
                evidence.add_metric([name, kind], _log10(value))
                threshold.add_metric([name, kind], _log10(facts.values.thresholds[kind]))
            for track, counts, seconds in (
                ("stable", facts.values.stable, facts.stable_age),
                ("canary", facts.values.canary, facts.canary_age),
            ):
                requests.add_metric([name, track], counts.requests)
                failures.add_metric([name, track], counts.failures)
                if seconds is not None:
                    age.add_metric([name, track], seconds)
            for result, count in comparison.polls.items():
                polls.add_metric([name, result], count)
        yield from (verdict, evidence, threshold, requests, failures, age, polls)


def build_registry(comparisons: Iterable[tuple[str, Comparison]]) -> CollectorRegistry:
    """Build a registry with the series of these comparisons, as they are at each scrape."""
    registry = CollectorRegistry()
    registry.register(ComparisonCollector(comparisons))
    return registry


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf
