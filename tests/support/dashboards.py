"""What a dashboard's JSON holds: its panels, rows opened, and the expressions it queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

Json = dict[str, Any]

#: What Grafana would put in: everything is chosen, and scrapes are 15 seconds apart.
CHOSEN: Final = {"namespace": ".+", "job": ".+", "__rate_interval": "1m"}

_VARIABLE: Final = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")


def panels(dashboard: Json) -> Iterator[Json]:
    """Yield every panel that shows something, those inside collapsed rows, too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels(panel)
        else:
            yield panel


def rows(dashboard: Json) -> list[Json]:
    return [panel for panel in dashboard["panels"] if panel["type"] == "row"]


def substituted(expression: str, **chosen: str) -> str:
    """Return the expression as Prometheus gets it; an unknown variable is a KeyError."""
    values = CHOSEN | chosen
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expression)


def expressions(dashboard: Json, **chosen: str) -> list[tuple[str, str]]:
    """Return (panel's title, expression) of every query, variables filled in."""
    return [
        (panel["title"], substituted(target["expr"], **chosen))
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def marks(dashboard: Json, **chosen: str) -> list[tuple[str, str]]:
    """Return (name, expression) of what marks the graphs."""
    return [
        (mark["name"], substituted(mark["expr"], **chosen))
        for mark in dashboard["annotations"]["list"]
        if "expr" in mark
    ]
