"""Any pair of counters as a reading: all events, and the bad ones or the good ones. Pure.

So releases can be compared by what matters to a business: orders that fail, messages that are
rejected. The parts of the expression are those of ``promql.py``, which says why it is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .promql import PART, TARGET_LABELS, Part
from .query import MetricNames, Query, ReleaseLabel

_MATCHER: Final = r'\s*[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"\s*'
_SELECTOR: Final = re.compile(
    rf"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{{(?:{_MATCHER}(?:,{_MATCHER})*,?)?\s*\}})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class CounterPair:
    """Selectors such as ``orders_total{result="failed"}``. One of ``bad`` and ``good`` is given.

    A good event must be counted in ``total`` at the same moment as in ``good``.
    """

    total: str
    bad: str | None
    good: str | None
    label: ReleaseLabel

    @property
    def query(self) -> Query:
        """Return the query by whose names a reading is aggregated and errors are worded."""
        names = MetricNames(
            counter=self.total,
            histogram=self.total,
            failed=(),
            unit_seconds=1.0,
            started=None,
            paired=False,
        )
        return Query(names, self.label, {})


def is_selector(text: str) -> bool:
    """Return True for a metric's name, with or without label matchers: no expression of PromQL."""
    return _SELECTOR.fullmatch(text) is not None


def build_pair_promql(pair: CounterPair) -> str:
    """Build the expression that returns a whole reading of a pair."""
    by_release = ", ".join((*TARGET_LABELS, pair.label.name))
    total = f"sum by ({by_release}) ({pair.total})"
    if pair.bad is not None:
        bad = f"sum by ({by_release}) ({pair.bad})"
        # Bad events of a release without a total are not left out: they contradict it.
        requests = f"{total} or 0 * {bad}"
    else:
        requests = total
        bad = f"clamp_min({total} - (sum by ({by_release}) ({pair.good}) or 0 * {total}), 0)"
    sampled = f"max by ({', '.join(TARGET_LABELS)}) (timestamp({pair.total}))"
    return "\nor\n".join(
        f'label_replace({expression}, "{PART}", "{part}", "", "")'
        for part, expression in (
            (Part.REQUESTS, requests),
            (Part.FAILED, bad),
            (Part.SAMPLED, sampled),
        )
    )
