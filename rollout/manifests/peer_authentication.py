"""PeerAuthentication: whether callers must come by mutual TLS."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .metadata import IstioObject, WorkloadSelector
from .part import Part

MtlsMode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]


class Mtls(Part):
    mode: MtlsMode = "UNSET"


class PeerAuthenticationSpec(Part):
    selector: WorkloadSelector | None = None
    mtls: Mtls | None = None
    port_level_mtls: dict[str, Mtls] = Field(default_factory=dict)


class PeerAuthentication(IstioObject):
    """What the receiving side demands."""

    spec: PeerAuthenticationSpec = Field(default_factory=PeerAuthenticationSpec)
