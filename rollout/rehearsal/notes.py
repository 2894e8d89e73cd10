"""What a rehearsal says about itself: what it replaces and what it can't show. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..envoy.proxy import Proxy

_GATEWAY: Final = "not rehearsed: callers inside the mesh: all requests come through the gateway"
_KUBERNETES: Final = (
    "not rehearsed: what Kubernetes does: scheduling, autoscaling, limits, the periods of probes"
)
_REDIS: Final = "one Redis of the rehearsal replaces every store; each store starts empty"

_SIDECARS: Final = (
    "sidecars stand in front of the pods to which policies apply; all callers have the address"
    " 127.0.0.1"
)


def callers_notes(proxy: Proxy) -> Iterator[str]:
    """Yield where requests come from, and what is true of every rehearsal."""
    if proxy.is_gateway:
        yield _GATEWAY
    else:
        labels = ", ".join(f"{key}={each}" for key, each in proxy.labels.items())
        yield (
            f"all requests come from a caller inside the mesh, in namespace {proxy.namespace}, of"
            f" the service account {proxy.service_account}, whose pod has"
            f" {f'the labels {labels}' if labels else 'no labels'}; not rehearsed: requests through"
            " gateways"
        )
    yield _KUBERNETES


def replacement_notes(*, redis: bool, encrypted: bool, sidecars: bool) -> Iterator[str]:
    """Yield what replaces the stores, the certificates and the mesh's addresses."""
    if redis:
        yield _REDIS
    if encrypted:
        yield "certificates of the rehearsal replace those of the gateway's Secrets"
    if sidecars:
        yield _SIDECARS
