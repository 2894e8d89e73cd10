"""Panels in the JSON of Grafana 10 and 11: dicts with the same few options everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

Json = dict[str, Any]

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
TALL: Final = 8
SHORT: Final = 5

#: A track has the same colour everywhere. Its versions are shades of it.
TRACKS: Final = {
    "stable": "blue",
    "baseline": "purple",
    "canary": "orange",
    "blue": "blue",
    "green": "green",
}


def query(expr: str, legend: str = "", *, exemplars: bool = False) -> Json:
    """Return a query over the time range. ``panel`` adds the refId."""
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "exemplar": exemplars,
        "expr": expr,
        "instant": False,
        "legendFormat": legend,
        "range": True,
    }


def now(expr: str, legend: str = "") -> Json:
    """Return a query for the end of the time range, so that ended series don't appear."""
    return query(expr, legend) | {"instant": True, "range": False}


def limits(*steps: tuple[float, str], below: str = "green") -> Json:
    """Return thresholds: a colour from each value upward, and ``below`` under the first."""
    first: list[Json] = [{"color": below, "value": None}]
    rest = [{"color": colour, "value": value} for value, colour in steps]
    return {"mode": "absolute", "steps": first + rest}


def override(pattern: str, **properties: Any) -> Json:
    """Return an override for series whose legend matches. ``custom_x`` stands for ``custom.x``."""
    return {
        "matcher": {"id": "byRegexp", "options": pattern},
        "properties": [
            {"id": name.replace("custom_", "custom."), "value": value}
            for name, value in properties.items()
        ],
    }


def dashed(pattern: str) -> Json:
    return override(
        pattern, custom_lineStyle={"fill": "dash", "dash": [8, 6]}, custom_fillOpacity=0
    )


def track_colours() -> list[Json]:
    return [
        override(f"/^{track}\\b/", color={"mode": "shades", "fixedColor": colour})
        for track, colour in TRACKS.items()
    ]


def panel(
    kind: str,
    title: str,
    why: str,
    queries: Sequence[Json],
    *,
    unit: str,
    size: tuple[int, int],
    defaults: Json | None = None,
    options: Json,
    overrides: Iterable[Json] = (),
) -> Json:
    """Return a panel without position and id, which the layout adds."""
    return {
        "type": kind,
        "title": title,
        "description": why,
        "datasource": SOURCE,
        "targets": [each | {"refId": chr(ord("A") + n)} for n, each in enumerate(queries)],
        "fieldConfig": {
            "defaults": {"mappings": [], "thresholds": limits(), "unit": unit} | (defaults or {}),
            "overrides": list(overrides),
        },
        "options": options,
        "gridPos": {"w": size[0], "h": size[1]},
    }


def graph(
    title: str,
    why: str,
    *queries: Json,
    unit: str,
    width: int = 8,
    least: float | None = 0,
    most: float | None = None,
    thresholds: Json | None = None,
    table: bool = False,
    stacked: bool = False,
    overrides: Iterable[Json] = (),
    links: Sequence[Json] = (),
) -> Json:
    """Return lines over time. ``table`` shows the legend as a table, for many series."""
    bounds = {"min": least, "max": most}
    return panel(
        "timeseries",
        title,
        why,
        queries,
        unit=unit,
        size=(width, TALL),
        defaults={
            "color": {"mode": "palette-classic"},
            "custom": {
                "axisPlacement": "auto",
                "drawStyle": "line",
                "fillOpacity": 30 if stacked else 8,
                "lineInterpolation": "linear",
                "lineWidth": 1,
                "showPoints": "auto",
                "spanNulls": False,
                "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
                "thresholdsStyle": {"mode": "dashed" if thresholds else "off"},
            },
            "links": list(links),
            "thresholds": thresholds or limits(),
            **{name: value for name, value in bounds.items() if value is not None},
        },
        options={
            "legend": {
                "calcs": ["mean", "max", "lastNotNull"] if table else [],
                "displayMode": "table" if table else "list",
                "placement": "bottom",
                "showLegend": True,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        overrides=overrides,
    )


def number(
    title: str,
    why: str,
    *queries: Json,
    unit: str,
    width: int = 4,
    height: int = SHORT,
    decimals: int | None = None,
    thresholds: Json | None = None,
    nothing: str = "no data",
) -> Json:
    """Return the current value of each series. ``nothing`` is shown if there is none."""
    return panel(
        "stat",
        title,
        why,
        queries,
        unit=unit,
        size=(width, height),
        defaults={
            "color": {"mode": "thresholds"},
            "noValue": nothing,
            "thresholds": thresholds or limits(below="text"),
            **({} if decimals is None else {"decimals": decimals}),
        },
        options={
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "auto",
        },
    )


def heatmap(title: str, why: str, buckets: str, *, width: int = 8) -> Json:
    """Return the distribution of a histogram in seconds over time, with exemplars."""
    return panel(
        "heatmap",
        title,
        why,
        [query(buckets, "{{le}}", exemplars=True) | {"format": "heatmap"}],
        unit="s",
        size=(width, TALL),
        defaults={"custom": {"scaleDistribution": {"type": "linear"}}},
        options={
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "reqps"},
            "color": {
                "exponent": 0.5,
                "fill": "dark-orange",
                "mode": "scheme",
                "reverse": False,
                "scale": "exponential",
                "scheme": "Oranges",
                "steps": 64,
            },
            "exemplars": {"color": "rgba(50, 116, 217, 0.8)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "show": True, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "s"},
        },
    )


def table(
    title: str, why: str, expr: str, *, unit: str, columns: dict[str, str], width: int = 8
) -> Json:
    """Return a table with a row for each series; ``columns`` maps labels to column titles."""
    return panel(
        "table",
        title,
        why,
        [now(expr) | {"format": "table"}],
        unit=unit,
        size=(width, TALL),
        defaults={
            "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
        },
        options={
            "cellHeight": "sm",
            "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
            "showHeader": True,
        },
    ) | {
        "transformations": [
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "indexByName": {name: place for place, name in enumerate(columns)},
                    "renameByName": columns,
                },
            }
        ]
    }
