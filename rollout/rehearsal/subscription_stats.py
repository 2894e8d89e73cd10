"""Reads from Envoy's statistics whether it has applied or rejected an xDS update. Pure.

https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/mgmt_server#xds-subscription-statistics
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..envoy.configuration import Configuration, Resource

#: Matches the statistics that this module reads; RE2.
PATTERN: Final = r"(version_text|\.update_rejected|\.update_failure|\.warming_clusters)$"
_WARMING: Final = "cluster_manager.warming_clusters"

CLUSTERS: Final = "cluster_manager.cds.version_text"
LISTENERS: Final = "listener_manager.lds.version_text"


def route_stats(configuration: Configuration) -> Mapping[str, str]:
    """Return, by name, the end of the version statistic of each route configuration in use."""
    names = _route_config_names(configuration.listeners)
    return {name: f".rds.{_escaped(name)}.version_text" for name in names}


def endpoint_stats(configuration: Configuration) -> Mapping[str, str]:
    """Return the version statistic of each cluster's endpoints, by the EDS service name."""
    return {
        each.get("eds_cluster_config", {}).get("service_name") or each["name"]: (
            f"cluster.{_escaped(each.get('alt_stat_name') or each['name'])}.version_text"
        )
        for each in configuration.clusters
        if each.get("type") == "EDS"
    }


def missing(wanted: Mapping[str, str], stats: Mapping[str, str]) -> list[str]:
    """Return the statistics that do not show their wanted version yet.

    ``wanted`` has versions by the statistic's name, or by the end of it if it begins with a dot.
    The result includes the count of warming clusters while it is not 0.
    """
    return [
        *(stat for stat, version in wanted.items() if not _shows(stats, stat, version)),
        *([] if stats.get(_WARMING) == "0" else [_WARMING]),
    ]


def rejected_updates(stats: Mapping[str, str]) -> int:
    """Return how many updates Envoy has rejected since it started."""
    return sum(
        int(value)
        for name, value in stats.items()
        if name.endswith((".update_rejected", ".update_failure"))
    )


def resource_name(resource: Resource) -> str:
    """Return the name under which Envoy subscribes to a resource."""
    return str(resource.get("name") or resource["cluster_name"])


def _shows(stats: Mapping[str, str], stat: str, version: str) -> bool:
    if not stat.startswith("."):
        return stats.get(stat) == version
    # Several listeners may use the same routes: each has a statistic of its own.
    found = [value for name, value in stats.items() if name.endswith(stat)]
    return bool(found) and all(value == version for value in found)


def _route_config_names(part: Any) -> Iterator[str]:
    """Yield the names of the route configurations anywhere in some listeners."""
    if isinstance(part, Mapping):
        if isinstance(name := part.get("route_config_name"), str):
            yield name
        for each in part.values():
            yield from _route_config_names(each)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _route_config_names(each)


def _escaped(name: str) -> str:
    # Envoy replaces colons in names of statistics.
    return name.replace(":", "_")
