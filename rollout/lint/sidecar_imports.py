"""What a Sidecar lets the proxies of its pods see: entries ``namespace/host`` of its egress. Pure.

https://istio.io/latest/docs/reference/config/networking/sidecar/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..manifests.hosts import overlap
from ..manifests.kinds import ISTIO_GROUP_SUFFIX
from ..manifests.untyped import list_or_empty, mapping_or_empty
from .resource import Resource
from .visibility import is_exported


@dataclass(frozen=True, slots=True)
class Import:
    """An entry of egress; ``namespace`` is ``*`` for all, ``~`` for none."""

    path: str
    namespace: str
    host: str

    def covers(self, namespace: str, host: str) -> bool:
        return self.namespace in {"*", namespace} and overlap(self.host, host)


def is_sidecar(resource: Resource) -> bool:
    return resource.kind == "Sidecar" and resource.id.group.endswith(ISTIO_GROUP_SUFFIX)


def imports_of(sidecar: Resource) -> tuple[Import, ...]:
    """Return all entries; without egress, a Sidecar imports everything."""
    return tuple(_imports(sidecar))


def _imports(sidecar: Resource) -> Iterator[Import]:
    for at, listener in enumerate(list_or_empty(sidecar.spec.get("egress"))):
        for index, each in enumerate(list_or_empty(mapping_or_empty(listener).get("hosts"))):
            namespace, _, host = str(each).partition("/")
            own = sidecar.namespace if namespace == "." else namespace
            yield Import(f"spec.egress[{at}].hosts[{index}]", own, host)


def imports(entries: Iterable[Import], owner: Resource, hosts: Iterable[str], by: str) -> bool:
    """Return True if proxies of namespace ``by`` with these entries see the owner's hosts."""
    written = list(hosts)
    return is_exported(owner, by) and any(
        entry.covers(owner.namespace, host) for entry in entries for host in written
    )
