"""Which of Envoy's stats show that a published configuration is in force: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..envoy.configuration import Configuration, Resource

#: Of all stats, those that are looked at here; RE2.
PATTERN: Final = r"(version_text|\.update_rejected|\.update_failure|\.warming_clusters)$"
_WARMING: Final = "cluster_manager.warming_clusters"

CLUSTERS: Final = "cluster_manager.cds.version_text"
LISTENERS: Final = "listener_manager.lds.version_text"


def route_stats(configuration: Configuration) -> Mapping[str, str]:
    """Return the end of the stat of each route configuration that listeners ask for, by name."""
    names = _asked_for(configuration.listeners)
    return {name: f".rds.{_escaped(name)}.version_text" for name in names}


def endpoint_stats(configuration: Configuration) -> Mapping[str, str]:
    """Return the stat of each cluster's endpoints, by the name that these are asked for with."""
    return {
        each.get("eds_cluster_config", {}).get("service_name") or each["name"]: (
            f"cluster.{_escaped(each.get('alt_stat_name') or each['name'])}.version_text"
        )
        for each in configuration.clusters
        if each.get("type") == "EDS"
    }


def missing(wanted: Mapping[str, str], stats: Mapping[str, str]) -> list[str]:
    """Return which of the wanted stats, or ends of stats, do not show their version yet."""
    return [
        *(stat for stat, version in wanted.items() if not _shows(stats, stat, version)),
        *([] if stats.get(_WARMING) == "0" else [_WARMING]),
    ]


def refusals(stats: Mapping[str, str]) -> int:
    """Count the updates that Envoy refused so far."""
    return sum(
        int(value)
        for name, value in stats.items()
        if name.endswith((".update_rejected", ".update_failure"))
    )


def _shows(stats: Mapping[str, str], stat: str, version: str) -> bool:
    if not stat.startswith("."):
        return stats.get(stat) == version
    # One for each kind of listener that uses these routes.
    found = [value for name, value in stats.items() if name.endswith(stat)]
    return bool(found) and all(value == version for value in found)


def _asked_for(part: Any) -> Iterator[str]:
    """Yield the names of the route configurations that listeners name, wherever in them."""
    if isinstance(part, Mapping):
        if isinstance(name := part.get("route_config_name"), str):
            yield name
        for each in part.values():
            yield from _asked_for(each)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _asked_for(each)


def _escaped(name: str) -> str:
    # Envoy writes a colon so, as it would part a stat's name from its value.
    return name.replace(":", "_")


def name_of(resource: Resource) -> str:
    """Return the name under which Envoy asks for a resource."""
    return str(resource.get("name") or resource["cluster_name"])
