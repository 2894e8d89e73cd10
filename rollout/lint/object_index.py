"""Finds objects by kind and name, and tells a missing one from one that the input lacks. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .resource import Resource, ResourceId


class ObjectIndex:
    """Objects by group, kind, namespace and name."""

    def __init__(self, near: Iterable[Resource], others: Iterable[Resource] = ()) -> None:
        """Index what is applied together, and then what else the input has."""
        self._objects: dict[ResourceId, Resource] = {}
        self._namespaces: set[tuple[str, str, str]] = set()
        self._near: dict[tuple[str, str, str], set[str]] = {}
        for each in near:
            group, kind, namespace, name = each.id
            self._near.setdefault((group, kind, name), set()).add(namespace)
            self._add(each)
        for each in others:
            self._add(each)

    def _add(self, resource: Resource) -> None:
        group, kind, namespace, _ = resource.id
        self._objects.setdefault(resource.id, resource)
        self._namespaces.add((group, kind, namespace))

    def find(self, group: str, kind: str, namespace: str, name: str) -> Resource | None:
        return self._objects.get(ResourceId(group, kind, namespace, name))

    def is_missing(self, group: str, kind: str, namespace: str, name: str) -> bool:
        """Return True if it does not exist although the input has others of its kind there."""
        known = (group, kind, namespace) in self._namespaces or self.elsewhere(group, kind, name)
        return bool(known) and self.find(group, kind, namespace, name) is None

    def elsewhere(self, group: str, kind: str, name: str) -> str | None:
        """Return a namespace that has one, of what is applied together; None if there is none."""
        return min(self._near.get((group, kind, name), ()), default=None)

    def hint(self, group: str, kind: str, name: str) -> str:
        """Return where an object of this name is, to add to a message; "" if nowhere."""
        namespace = self.elsewhere(group, kind, name)
        return f"; namespace {namespace} has one of this name" if namespace else ""
