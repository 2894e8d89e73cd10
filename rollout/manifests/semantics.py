"""How istiod marks the objects that it makes of the Gateway API's, which mean something else.

A prefix matches whole segments of a path, a destination that does not exist is answered with 500,
and callers of other namespaces than the route's or the Service's do not see a route of the mesh.
"""

from __future__ import annotations

from typing import Final

from .metadata import IstioObject

_ANNOTATION: Final = "internal.istio.io/route-semantics"
_VALUE: Final = "gateway"
GATEWAY_SEMANTICS: Final = {_ANNOTATION: _VALUE}
#: The objects that an object was made of, separated by commas.
PARENTS: Final = "internal.istio.io/parents"


def has_gateway_semantics(made: IstioObject) -> bool:
    """Return True for an object that istiod made of the Gateway API's."""
    return made.metadata.annotations.get(_ANNOTATION) == _VALUE


def made_of(made: IstioObject, kind: str, namespace: str, name: str) -> bool:
    """Return True if an object was made of this one."""
    written = made.metadata.annotations.get(PARENTS, "")
    return f"{kind}/{name}.{namespace}" in written.split(",")
