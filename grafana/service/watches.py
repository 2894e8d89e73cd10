"""The row of watches: who watches, what they are told, and why watches end."""

from __future__ import annotations

from ..layout import Row
from ..panels import graph, query
from ..promql import rate, select, total


def watches() -> Row:
    return Row(
        "Who watches, and are they told?",
        [
            graph(
                "Watches by pod",
                "Watches under way. A pod that drains has none at its end.",
                query(total(select("kv_watchers"), "pod"), "{{pod}}"),
                unit="short",
                width=6,
            ),
            graph(
                "Events to watchers",
                "Events sent per second, by their name.",
                query(total(rate("kv_watch_events_total"), "event"), "{{event}}"),
                unit="cps",
                width=6,
                table=True,
            ),
            graph(
                "Watches that began anew",
                "Watches of a prefix that were told the present state again. missed: the "
                "connection to Redis was lost; unknown_position: a client came back too late.",
                query(total(rate("kv_watch_resets_total"), "reason"), "{{reason}}"),
                unit="cps",
                width=6,
                table=True,
            ),
            graph(
                "Ends of watches",
                "Watches that ended per second, by the reason. slow: the client did not read.",
                query(total(rate("kv_watches_ended_total"), "reason"), "{{reason}}"),
                unit="cps",
                width=6,
                table=True,
            ),
        ],
    )
