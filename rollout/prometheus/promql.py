"""One PromQL expression for a whole reading. Pure.

A question of its own for each number would be answered before and after a scrape, even at one
evaluation time, for a scrape is stored a while after the time it bears. One expression sees one
state of the store; the label ``PART`` tells its parts apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from .query import Question

#: What makes an instance: the target that was scraped. Empty ones are left out by Prometheus.
TARGET: Final = ("job", "namespace", "pod", "instance")
PART: Final = "rollout_part"
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Part(StrEnum):
    """What a row of the answer holds; both of WITHIN have a row for each bound ``le``."""

    REQUESTS = "requests"
    FAILED = "failed"
    WITHIN = "within"
    FAILED_WITHIN = "failed_within"
    SAMPLED = "sampled"
    STARTED = "started"


def build_expression(question: Question) -> str:
    """Build the expression; raise ValueError for what can't be a label's name."""
    flavour = question.flavour
    every = _selector(question.counter, question.matchers)
    failed = _selector(question.counter, question.matchers, (flavour.status, flavour.failed))
    by_arm = (*TARGET, question.arms.label)
    parts = [
        (Part.REQUESTS, f"sum by ({_names(by_arm)}) ({every})"),
        (Part.FAILED, f"sum by ({_names(by_arm)}) ({failed})"),
        (Part.SAMPLED, f"max by ({_names(TARGET)}) (timestamp({every}))"),
    ]
    if question.edges:
        bucket, by_bound = f"{flavour.histogram}_bucket", _names((*by_arm, "le"))
        all_within = _selector(bucket, question.matchers)
        failed_within = _selector(bucket, question.matchers, (flavour.status, flavour.failed))
        parts += [
            (Part.WITHIN, f"sum by ({by_bound}) ({all_within})"),
            (Part.FAILED_WITHIN, f"sum by ({by_bound}) ({failed_within})"),
        ]
    if flavour.started:
        started = _selector(flavour.started, question.matchers)
        parts.append((Part.STARTED, f"max by ({_names(TARGET)}) ({started})"))
    return "\nor\n".join(
        f'label_replace({what}, "{PART}", "{part}", "", "")' for part, what in parts
    )


def _selector(
    metric: str, matchers: Mapping[str, str], pattern: tuple[str, str] | None = None
) -> str:
    terms = [f'{_names([label])}="{_quoted(value)}"' for label, value in matchers.items()]
    if pattern is not None:
        terms.append(f'{pattern[0]}=~"{_quoted(pattern[1])}"')
    return f"{metric}{{{', '.join(terms)}}}"


def _quoted(text: str) -> str:
    """Escape as PromQL's double-quoted strings have it (those of Go)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _names(labels: Iterable[str]) -> str:
    given = list(labels)
    for label in given:
        if not _NAME.fullmatch(label):
            raise ValueError(f"{label!r} can't be a label of Prometheus; use letters, digits and _")
    return ", ".join(given)
