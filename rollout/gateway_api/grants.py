"""What ReferenceGrants allow: references into their namespace from others."""

from __future__ import annotations

from collections.abc import Iterable

from ..manifests.gateway_api.gateway import ReferenceGrant
from ..manifests.gateway_api.references import ObjectReference
from ..manifests.metadata import IstioObject


class Grants:
    """All ReferenceGrants."""

    def __init__(self, grants: Iterable[ReferenceGrant]) -> None:
        self._allowed = {
            (source.kind, source.namespace, grant.namespace, target.group, target.kind, target.name)
            for grant in grants
            for source in grant.spec.from_
            for target in grant.spec.to
        }

    def allow(self, owner: IstioObject, to: ObjectReference) -> bool:
        """Return True if the owner may refer to the object, in its own namespace or by a grant."""
        namespace = to.namespace or owner.namespace
        if namespace == owner.namespace:
            return True
        base = (owner.kind, owner.namespace, namespace, to.group, to.kind)
        return (*base, to.name) in self._allowed or (*base, None) in self._allowed
