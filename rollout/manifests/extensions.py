"""Kinds that change the proxies themselves: EnvoyFilter, WasmPlugin, TrafficExtension, ProxyConfig.

https://istio.io/latest/docs/reference/config/networking/envoy-filter/
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .metadata import IstioObject, PolicyTargetReference, TargetedSpec, WorkloadSelector
from .strict_model import StrictModel

Phase = Literal["UNSPECIFIED", "UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"]
_CHECKSUM: Final = re.compile("[a-f0-9]{64}")


def _check_url(value: str) -> str:
    scheme = urlsplit(value).scheme if "://" in value else ""
    if scheme not in {"", "file", "http", "https", "oci"} or any(each.isspace() for each in value):
        raise field_error(
            Reason.BAD_VALUE, f'"{value}" is not a URL of a plugin', "use oci, http, https or file"
        )
    return value


def _check_checksum(value: str) -> str:
    if value and not _CHECKSUM.fullmatch(value):
        raise field_error(
            Reason.BAD_VALUE, f'"{value}" is not a checksum of SHA-256', "write 64 of 0-9 and a-f"
        )
    return value


class Variable(StrictModel):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    value: Annotated[str, Field(max_length=2048)] | None = None
    value_from: Literal["INLINE", "HOST"] = "INLINE"

    @model_validator(mode="after")
    def _check_value(self) -> Variable:
        if self.value and self.value_from == "HOST":
            raise field_error(
                Reason.BAD_VALUE, "a value excludes valueFrom: HOST", "keep one", ("value",)
            )
        return self


class VmConfig(StrictModel):
    env: Annotated[tuple[Variable, ...], Field(max_length=256)] = ()

    @model_validator(mode="after")
    def _check_names(self) -> VmConfig:
        names = [each.name for each in self.env]
        if len(set(names)) < len(names):
            raise field_error(
                Reason.BAD_VALUE, "two variables have the same name", "remove one", ("env",)
            )
        return self


class TrafficPort(StrictModel):
    number: Annotated[int, Field(ge=1, le=65535)]


class TrafficSelector(StrictModel):
    mode: Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"] | None = None
    ports: tuple[TrafficPort, ...] = ()


class Wasm(StrictModel):
    url: Annotated[str, Field(min_length=1), AfterValidator(_check_url)]
    sha256: Annotated[str, AfterValidator(_check_checksum)] | None = None
    image_pull_policy: Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"] | None = None
    image_pull_secret: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    verification_key: str | None = None
    plugin_config: dict[str, Any] | None = None
    plugin_name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    fail_strategy: Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"] | None = None
    vm_config: VmConfig | None = None
    type: Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"] | None = None


class WasmPluginSpec(TargetedSpec, Wasm):
    phase: Phase | None = None
    priority: int | None = None
    match: tuple[TrafficSelector, ...] = ()


class WasmPlugin(IstioObject):
    spec: WasmPluginSpec


class Lua(StrictModel):
    inline_code: Annotated[str, Field(min_length=1, max_length=65536)]


class TrafficExtensionSpec(StrictModel):
    selector: WorkloadSelector | None = None
    target_refs: Annotated[tuple[PolicyTargetReference, ...], Field(max_length=16)] = ()
    wasm: Wasm | None = None
    lua: Lua | None = None
    phase: Phase | None = None
    priority: int | None = None
    match: tuple[TrafficSelector, ...] = ()

    @model_validator(mode="after")
    def _check_one_extension(self) -> TrafficExtensionSpec:
        if self.wasm and self.lua:
            raise field_error(
                Reason.BAD_VALUE, "wasm and lua exclude each other", "keep one of them", ("lua",)
            )
        return self


class TrafficExtension(IstioObject):
    spec: TrafficExtensionSpec


class ProxyImage(StrictModel):
    image_type: str | None = None


class ProxyConfigSpec(StrictModel):
    selector: WorkloadSelector | None = None
    concurrency: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    environment_variables: dict[str, Annotated[str, Field(max_length=2048)]] = Field(
        default_factory=dict
    )
    image: ProxyImage | None = None


class ProxyConfig(IstioObject):
    spec: ProxyConfigSpec = Field(default_factory=ProxyConfigSpec)
