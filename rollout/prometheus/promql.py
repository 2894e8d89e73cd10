"""Build one PromQL expression that returns a whole reading. Pure.

Prometheus stores a scrape some time after the scrape's timestamp. Separate queries could therefore
see the store before and after a scrape, even at the same evaluation time. One expression sees one
state of the store; the label ``PART`` tells its parts apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from .query import Query

#: The labels that identify a scrape target. Prometheus omits empty labels.
TARGET_LABELS: Final = ("job", "namespace", "pod", "instance")
PART: Final = "rollout_part"
_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Part(StrEnum):
    """What a series of the result holds; WITHIN and FAILED_WITHIN have one per bound ``le``.

    Native histograms have none of these: the sum of each status is an element without ``PART``.
    """

    REQUESTS = "requests"
    FAILED = "failed"
    WITHIN = "within"
    FAILED_WITHIN = "failed_within"
    SAMPLED = "sampled"
    STARTED = "started"


def build_promql(query: Query) -> str:
    """Build the expression; raise ValueError if a label name is invalid."""
    metrics = query.metrics
    every = _selector(query.counter, query)
    failed = _failed(query.counter, query)
    by_target = _label_names(TARGET_LABELS)
    by_release = _label_names((*TARGET_LABELS, query.release_label.name))
    parts = [
        (Part.REQUESTS, f"sum by ({by_release}) ({every})"),
        (Part.FAILED, f"sum by ({by_release}) ({failed})"),
        (Part.SAMPLED, f"max by ({by_target}) (timestamp({every}))"),
    ]
    natives = []
    if query.native:
        # Without label_replace, which loses histograms in Prometheus 2.42, and without functions
        # for native histograms, which not every database of metrics knows. A target may have both
        # forms: the classic one is far smaller, and exact.
        native = _selector(query.native, query)
        statuses = _label_names(label for label, _ in metrics.failed)
        natives = [f"sum by ({by_release}, {statuses}) ({native} unless on ({by_target}) {every})"]
        parts.append((Part.SAMPLED, f"max by ({by_target}) (timestamp({native}))"))
    if query.edges:
        bucket, by_bound = f"{metrics.histogram}_bucket", f"{by_release}, le"
        all_within = _selector(bucket, query)
        failed_within = _failed(bucket, query)
        parts += [
            (Part.WITHIN, f"sum by ({by_bound}) ({all_within})"),
            (Part.FAILED_WITHIN, f"sum by ({by_bound}) ({failed_within})"),
        ]
    if metrics.started:
        started = _selector(metrics.started, query)
        parts.append((Part.STARTED, f"max by ({by_target}) ({started})"))
    replaced = (
        f'label_replace({expression}, "{PART}", "{part}", "", "")' for part, expression in parts
    )
    return "\nor\n".join((*replaced, *natives))


def build_selector(query: Query) -> str:
    """Return an expression with the series that count the requests of all releases."""
    counter = _selector(query.counter, query)
    return f"{counter} or {_selector(query.native, query)}" if query.native else counter


def _failed(metric: str, query: Query) -> str:
    """Select the series of failed requests; one that fails by two labels is selected once."""
    return " or ".join(_selector(metric, query, each) for each in query.metrics.failed)


def _selector(metric: str, query: Query, *patterns: tuple[str, str]) -> str:
    terms = [
        f'{_label_names([label])}="{_escape(value)}"' for label, value in query.matchers.items()
    ]
    terms += [f'{label}=~"{_escape(each)}"' for label, each in (*query.patterns, *patterns)]
    return f"{metric}{{{', '.join(terms)}}}"


def _escape(text: str) -> str:
    """Escape text for a double-quoted PromQL string (Go's rules)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _label_names(labels: Iterable[str]) -> str:
    names = list(labels)
    for name in names:
        if not _LABEL_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} can't be a label name in Prometheus; use letters, digits and _"
            )
    return ", ".join(names)
