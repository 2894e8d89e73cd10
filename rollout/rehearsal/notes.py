"""What a rehearsal says about itself: what it replaces and what it can't show. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..envoy.proxy import Proxy

_GATEWAY: Final = (
    "not rehearsed: sidecars, and callers inside the mesh: all requests come through the gateway"
)
_KUBERNETES: Final = (
    "not rehearsed: what Kubernetes does: scheduling, autoscaling, limits, the periods of probes"
)
_REDIS: Final = "one Redis of the rehearsal replaces every store; each store starts empty"


def callers_notes(proxy: Proxy) -> Iterator[str]:
    """Yield where requests come from, and what is true of every rehearsal."""
    if proxy.is_gateway:
        yield _GATEWAY
    else:
        yield (
            f"all requests come from a caller inside the mesh, in namespace {proxy.namespace},"
            " whose pod has no labels; not rehearsed: requests through gateways, and the pods' own"
            " sidecars"
        )
    yield _KUBERNETES


def replacement_notes(*, redis: bool, certificate: bool, encrypted: bool) -> Iterator[str]:
    """Yield what replaces the stores and the certificates."""
    if redis:
        yield _REDIS
    if encrypted and certificate:
        yield "a certificate of the rehearsal replaces those of the gateway's Secrets"
    elif encrypted:
        yield "the gateway's ports speak plaintext: the program openssl is not installed"
