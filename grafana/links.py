"""Links from a dashboard to the logs, the traces and the other dashboard."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

from .panels import Json

_VARIABLE: Final = re.compile(r"(\$\{[^}]+\})")


def explore(kind: str, **query: str) -> str:
    """Return the URL of Explore with a query for the data source variable named ``kind``."""
    uid = f"${{{kind}}}"
    pane = {
        "datasource": uid,
        "queries": [{"refId": "A", "datasource": {"type": kind, "uid": uid}, **query}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    panes = json.dumps({"tallykv": pane}, separators=(",", ":"))
    # Grafana replaces the variables before the URL is decoded, so they must not be quoted.
    parts = (part if n % 2 else quote(part) for n, part in enumerate(_VARIABLE.split(panes)))
    return "/explore?schemaVersion=1&panes=" + "".join(parts)


#: Only log lines of this service contain service.instance.id.
LINES: Final = '{namespace=~"${namespace:pipe}"} |= `"service.instance.id"` | json'

LOGS: Final = explore("loki", expr=LINES, queryType="range")
JAEGER: Final = explore("jaeger", queryType="search", service="tallykv")
TEMPO: Final = explore("tempo", queryType="traceql", query='{resource.service.name="tallykv"}')


def data_link(title: str, url: str) -> Json:
    """Return a link for the menu of a series."""
    return {"title": title, "url": url, "targetBlank": True}


def logs_of_route() -> Json:
    """Return a link to the logs of the selected series' route."""
    route = ' | http_route="${__field.labels.http_route}"'
    return data_link(
        "Logs of ${__field.labels.http_route}",
        explore("loki", expr=LINES + route, queryType="range"),
    )


def dashboard_link(title: str, url: str, tooltip: str) -> Json:
    return _LINK | {"title": title, "url": url, "tooltip": tooltip}


_LINK: Final[Json] = {
    "asDropdown": False,
    "icon": "external link",
    "includeVars": False,
    "keepTime": False,
    "tags": [],
    "targetBlank": True,
    "title": "",
    "tooltip": "",
    "type": "link",
    "url": "",
}

#: The other dashboard with the same variables and time range, and logs and traces.
LINKS: Final = [
    _LINK
    | {
        "icon": "dashboard",
        "includeVars": True,
        "keepTime": True,
        "tags": ["tallykv"],
        "targetBlank": False,
        "title": "tallykv",
        "type": "dashboards",
    },
    dashboard_link("Logs", LOGS, "log lines of these namespaces, if there is a Loki data source"),
    dashboard_link("Traces in Jaeger", JAEGER, "if there is a Jaeger data source"),
    dashboard_link("Traces in Tempo", TEMPO, "if there is a Tempo data source"),
]
