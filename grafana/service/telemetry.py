"""Whether metrics, traces and logs are complete."""

from __future__ import annotations

from ..layout import Row
from ..panels import dashed, graph, limits, query
from ..promql import over, rate, select, total


def telemetry() -> Row:
    return Row(
        "Can these graphs be trusted?",
        [
            graph(
                "Targets scraped",
                "Pods that Prometheus knows, and pods that answered its last scrape.",
                query(total(select("up")), "answered"),
                query(over("count", select("up")), "known"),
                unit="short",
                overrides=[dashed("/^known$/")],
            ),
            graph(
                "Samples per scrape",
                "Series that a pod exposes. Endless growth means that a label has no bound.",
                query(over("max", select("scrape_samples_scraped"), "pod"), "{{pod}}"),
                unit="short",
                thresholds=limits((1500, "orange"), (2000, "red")),
            ),
            graph(
                "Trace decisions",
                "Requests by who decided about the trace, and how. capped: sampled by the caller, "
                "but above this pod's limit.",
                query(
                    total(rate("kv_trace_decisions_total"), "origin", "decision"),
                    "{{origin}} {{decision}}",
                ),
                unit="reqps",
            ),
            graph(
                "Spans exported and dropped",
                "Spans that reached the collector, and spans that did not, by reason.",
                query(total(rate("kv_spans_exported_total")), "exported"),
                query(total(rate("kv_spans_dropped_total"), "reason"), "dropped: {{reason}}"),
                unit="cps",
                width=12,
            ),
            graph(
                "Log records dropped",
                "Log lines that were not written. queue_full: stderr is too slow; rate_limited: "
                "too many lines about requests; unwritten: stderr is closed or its disk full.",
                query(total(rate("kv_log_records_dropped_total"), "reason"), "{{reason}}"),
                unit="cps",
                width=12,
            ),
        ],
    )
