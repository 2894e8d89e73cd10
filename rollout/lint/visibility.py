"""Which namespaces see an object: exportTo, and Istio's root namespace. Pure.

https://istio.io/latest/docs/reference/config/networking/virtual-service/
"""

from __future__ import annotations

from typing import Final

from ..manifests.untyped import list_or_empty, mapping_or_empty
from .resource import Resource

#: Where Istio is installed unless its MeshConfig says otherwise.
ROOT_NAMESPACE: Final = "istio-system"
_ANNOTATION: Final = "networking.istio.io/exportTo"


def is_exported(resource: Resource, namespace: str) -> bool:
    """Return True if proxies of the namespace see the object."""
    values = exported_to(resource)
    own = namespace == resource.namespace
    return not values or "*" in values or namespace in values or (own and "." in values)


def exported_to(resource: Resource) -> tuple[str, ...]:
    """Return the values of exportTo; a Service has them in an annotation."""
    if resource.kind == "Service":
        annotations = mapping_or_empty(resource.document["metadata"].get("annotations"))
        written = annotations.get(_ANNOTATION)
        return tuple(map(str.strip, written.split(","))) if isinstance(written, str) else ()
    return tuple(map(str, list_or_empty(resource.spec.get("exportTo"))))
