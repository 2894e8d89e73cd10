"""The order in which Istio considers objects of one kind: the oldest first, then by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..manifests.metadata import IstioObject

Object = TypeVar("Object", bound=IstioObject)


def oldest_first(objects: Iterable[Object]) -> list[Object]:
    """Sort by age, name and namespace; objects of manifests, not yet created, have equal ages."""
    return sorted(objects, key=lambda each: (_created(each), each.name, each.namespace))


def _created(manifest: IstioObject) -> str:
    # RFC 3339 in UTC with whole seconds, so texts sort as times.
    return str(manifest.metadata.creation_timestamp or "")
