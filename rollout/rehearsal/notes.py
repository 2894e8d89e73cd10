"""What a rehearsal says about itself: what it replaces and what it can't show. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..envoy.proxy import Proxy
from ..manifests.weighted_rules import Routes

_GATEWAY: Final = "not rehearsed: callers inside the mesh: all requests come through the gateway"
_KUBERNETES: Final = (
    "not rehearsed: what Kubernetes does: scheduling, autoscaling, limits, the periods of probes"
)
_REDIS: Final = "one Redis of the rehearsal replaces every store; each store starts empty"

_SIDECARS: Final = (
    "sidecars stand in front of the pods to which policies apply; all callers have the address"
    " 127.0.0.1"
)


def callers_notes(proxy: Proxy, elsewhere: Iterable[Routes] = ()) -> Iterator[str]:
    """Yield where requests come from, and what is true of every rehearsal.

    ``elsewhere`` are objects of the steps whose requests enter at another proxy.
    """
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
    for each in elsewhere:
        yield (
            f"{each.kind} {each.namespace}/{each.name} changes with each step; not rehearsed: its"
            " requests, which enter elsewhere"
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
