"""EnvoyFilter: patches of the configuration that istiod generates.

https://istio.io/latest/docs/reference/config/networking/envoy-filter/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Unsigned
from .json_path import PathSegments
from .metadata import IstioObject, LabelSelector, PolicyTargetReference
from .strict_model import StrictModel
from .string_match import Re2Pattern

_LISTENER: Final = frozenset({"LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER"})
_ROUTES: Final = frozenset({"ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE"})
_MANAGER: Final = re.compile(r"envoy\.(filters\.network\.)?http_connection_manager")


class Named(StrictModel):
    name: str | None = None


class FilterMatch(StrictModel):
    name: str | None = None
    sub_filter: Named | None = None


class FilterChainMatch(StrictModel):
    name: str | None = None
    sni: str | None = None
    transport_protocol: str | None = None
    transport_socket: str | None = None
    application_protocols: str | None = None
    destination_port: Unsigned | None = None
    filter: FilterMatch | None = None


class ListenerMatch(StrictModel):
    port_number: Unsigned | None = None
    port_name: str | None = None
    filter_chain: FilterChainMatch | None = None
    listener_filter: str | None = None
    name: str | None = None


class RouteMatch(StrictModel):
    name: str | None = None
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] | None = None


class VirtualHostMatch(StrictModel):
    name: str | None = None
    domain_name: str | None = None
    route: RouteMatch | None = None


class RouteConfigurationMatch(StrictModel):
    port_number: Unsigned | None = None
    port_name: str | None = None
    gateway: str | None = None
    vhost: VirtualHostMatch | None = None
    name: str | None = None


class ClusterMatch(StrictModel):
    port_number: Unsigned | None = None
    service: str | None = None
    subset: str | None = None
    name: str | None = None


class WaypointMatch(StrictModel):
    port_number: Unsigned | None = None
    filter: FilterMatch | None = None
    route: Named | None = None


class ProxyMatch(StrictModel):
    proxy_version: Re2Pattern | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class PatchedObject(StrictModel):
    context: Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"] = "ANY"
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: WaypointMatch | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return which of the objects are matched."""
        names = ("listener", "route_configuration", "cluster", "waypoint")
        return tuple(name for name in names if getattr(self, name) is not None)


class Patch(StrictModel):
    operation: Literal[
        "INVALID",
        "MERGE",
        "ADD",
        "REMOVE",
        "INSERT_BEFORE",
        "INSERT_AFTER",
        "INSERT_FIRST",
        "REPLACE",
        "MERGE_AND_REPLACE_LIST",
    ] = "INVALID"
    value: dict[str, Any] | None = None
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] | None = None


class ConfigPatch(StrictModel):
    apply_to: Literal[
        "INVALID",
        "LISTENER",
        "FILTER_CHAIN",
        "NETWORK_FILTER",
        "HTTP_FILTER",
        "ROUTE_CONFIGURATION",
        "VIRTUAL_HOST",
        "HTTP_ROUTE",
        "CLUSTER",
        "EXTENSION_CONFIG",
        "BOOTSTRAP",
        "LISTENER_FILTER",
    ] = "INVALID"
    match: PatchedObject | None = None
    patch: Patch | None = None

    @model_validator(mode="after")
    def _check_patch(self) -> ConfigPatch:
        patch = self.patch
        missing: PathSegments = ()
        if self.apply_to == "INVALID":
            missing = ("applyTo",)
        elif patch is None:
            missing = ("patch",)
        elif patch.operation == "INVALID":
            missing = ("patch", "operation")
        elif patch.operation != "REMOVE" and patch.value is None:
            missing = ("patch", "value")
        if missing:
            raise field_error(
                Reason.MISSING_FIELD, "Istio rejects a patch without it", "add it", missing
            )
        return self

    @model_validator(mode="after")
    def _check_value(self) -> ConfigPatch:
        for path, config in _typed_configs(self.patch.value if self.patch else None):
            kind = config.get("@type")
            if config and not (isinstance(kind, str) and kind):
                raise field_error(
                    Reason.MISSING_FIELD,
                    "Envoy's configuration says of which type it is",
                    'add "@type": type.googleapis.com/NAME',
                    ("patch", "value", *path, "@type"),
                )
        return self

    @model_validator(mode="after")
    def _check_match(self) -> ConfigPatch:
        kinds = self.match.kinds if self.match else ()
        wanted = {
            **dict.fromkeys(_LISTENER, "listener"),
            **dict.fromkeys(_ROUTES, "route_configuration"),
            "CLUSTER": "cluster",
        }.get(self.apply_to)
        if len(kinds) > 1 or (kinds and wanted and kinds[0] not in {wanted, "waypoint"}):
            raise field_error(
                Reason.BAD_VALUE,
                f"the match doesn't fit to applyTo: {self.apply_to}",
                f"match only a {wanted}" if wanted else "match only one object",
                ("match",),
            )
        listener = self.match.listener if self.match else None
        chain = listener.filter_chain if listener else None
        if chain and chain.filter:
            self._check_filter(chain.filter)
        return self

    def _check_filter(self, filter_: FilterMatch) -> None:
        at = ("match", "listener", "filterChain", "filter")
        below = filter_.sub_filter
        if not filter_.name or (below and not below.name):
            raise field_error(
                Reason.MISSING_FIELD, "the match of a filter needs its name", "add name", at
            )
        if below and (self.apply_to != "HTTP_FILTER" or not _MANAGER.fullmatch(filter_.name)):
            raise field_error(
                Reason.BAD_VALUE,
                "only an HTTP_FILTER in the HTTP connection manager has a subFilter",
                "remove subFilter",
                (*at, "subFilter"),
            )


def _typed_configs(value: Any) -> Iterator[tuple[PathSegments, dict[str, Any]]]:
    """Yield the mappings of a patch whose type only they themselves tell, with their paths."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in {"typed_config", "typedConfig"} and isinstance(each, dict):
                yield (name,), each
            yield from (((name, *path), found) for path, found in _typed_configs(each))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from (((index, *path), found) for path, found in _typed_configs(each))


class EnvoyFilterSpec(StrictModel):
    workload_selector: LabelSelector | None = None
    target_refs: Annotated[tuple[PolicyTargetReference, ...], Field(max_length=16)] = ()
    config_patches: tuple[ConfigPatch, ...] = ()
    priority: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] = 0

    @model_validator(mode="after")
    def _check_one_target(self) -> EnvoyFilterSpec:
        if self.workload_selector is not None and self.target_refs:
            raise field_error(
                Reason.BAD_VALUE,
                "only one of workloadSelector and targetRefs can be set",
                "keep one of them",
                ("targetRefs",),
            )
        return self


class EnvoyFilter(IstioObject):
    spec: EnvoyFilterSpec = Field(default_factory=EnvoyFilterSpec)
