"""The parts that both dashboards share: variables, links, annotations, the outer JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .layout import Row, build_layout
from .links import LINKS
from .panels import SOURCE, Json

#: The schema of Grafana 10.4 and 11; later versions migrate it on load.
SCHEMA_VERSION: Final = 39


def source_variable(kind: str, label: str, *, hidden: bool = False) -> Json:
    """Return a variable that selects one of Grafana's data sources of a kind."""
    return {
        "type": "datasource",
        "name": "datasource" if kind == "prometheus" else kind,
        "label": label,
        "query": kind,
        "current": {},
        "hide": 2 if hidden else 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def label_variable(name: str, label: str, selector: str) -> Json:
    """Return a variable for several values of a label, updated when the time range changes."""
    definition = f"label_values({selector}, {name})"
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "definition": definition,
        "query": {"query": definition, "refId": f"variable-{name}"},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
    }


VARIABLES: Final = [
    source_variable("prometheus", "Data source"),
    # No allValue: "all" must be the namespaces of this service only. ".+" would add CPU time and
    # targets of other services, whose metrics have the same names.
    label_variable("namespace", "Namespace", "kv_build_info"),
    label_variable("job", "Job", 'kv_build_info{namespace=~"$namespace"}'),
    # Used by links only.
    source_variable("loki", "Logs", hidden=True),
    source_variable("jaeger", "Traces in Jaeger", hidden=True),
    source_variable("tempo", "Traces in Tempo", hidden=True),
]

_BUILT_IN: Final[Json] = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def annotation(name: str, expr: str, *, colour: str, title: str, text: str, **more: Any) -> Json:
    """Return annotations on all graphs: one for each period in which ``expr`` has a value."""
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "expr": expr,
        "hide": False,
        "iconColor": colour,
        "step": "60s",
        "textFormat": text,
        "titleFormat": title,
        "useValueForTime": False,
        **more,
    }


def build_dashboard(
    uid: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    *,
    since: str,
    refresh: str,
    annotations: Sequence[Json] = (),
) -> Json:
    """Return a dashboard in Grafana's classic JSON."""
    return {
        "uid": uid,
        "id": None,
        "title": title,
        "description": description,
        "tags": ["tallykv"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "liveNow": False,
        "refresh": refresh,
        "time": {"from": since, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "weekStart": "",
        "templating": {"list": VARIABLES},
        "annotations": {"list": [_BUILT_IN, *annotations]},
        "links": LINKS,
        "panels": build_layout(rows),
    }
