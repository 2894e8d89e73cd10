"""The fields of a Lease object, and who holds it by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lightkube.generic_resource import create_namespaced_resource

from .api_client import ApiClient, Json, NotFound

LEASE: Final = create_namespaced_resource("coordination.k8s.io", "v1", "Lease", "leases")
#: The annotation with the identity of the holder's process.
PROCESS: Final = "tallykv-rollout/process"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a rollout, and how many seconds ago it renewed the lease."""

    name: str
    seconds: float


async def read_holder(api: ApiClient, virtual_service: str) -> Holder | None:
    """Return the holder by the lease, None if nobody holds it; raise ApiError.

    The age compares two times of the server's clock, to a second or so.
    """
    try:
        found = await api.get(LEASE, f"tallykv-rollout-{virtual_service}")
    except NotFound:
        return None
    name, renewed = spec_of(found).get("holderIdentity"), spec_of(found).get("renewTime")
    if not name:
        return None
    try:
        age = api.server_time() - datetime.fromisoformat(str(renewed)).timestamp()
    except ValueError:
        age = 0.0
    return Holder(str(name), max(0.0, age))


def spec_of(found: Json | None) -> Json:
    return (found or {}).get("spec") or {}


def transitions_of(found: Json | None) -> int:
    return int(spec_of(found).get("leaseTransitions") or 0)


def version_of(found: Json) -> str:
    return str(found["metadata"]["resourceVersion"])


def process_of(found: Json | None) -> str:
    annotations = ((found or {}).get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(PROCESS, ""))


def record_of(found: Json | None) -> tuple[object, ...]:
    """Return what a renewal changes."""
    spec = spec_of(found)
    return spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions")


def duration_of(found: Json | None, default: float) -> float:
    """Return how long the holder's lease lasts without a renewal, in seconds."""
    try:
        return float(spec_of(found).get("leaseDurationSeconds") or default)
    except (TypeError, ValueError):
        return default
