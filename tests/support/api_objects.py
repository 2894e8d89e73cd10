"""The objects of an API server for tests: versions, patches, conflicts, field managers."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.api_faults import invalid_config_map
from tests.support.field_managers import ApplyConflict, applied, updated
from tests.support.json_patches import apply_operation, merged

Json = dict[str, Any]
APPLY_PATCH: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_MERGE_PATCH: Final = "application/merge-patch+json"


class Failure(Exception):
    """The request fails with the HTTP status ``code``."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as the server received it."""

    method: str
    plural: str
    name: str
    manager: str | None
    body: Any
    content_type: str
    #: Of a server-side apply: take fields from other managers.
    force: bool = False


@dataclass
class ApiObjects:
    """Collections are ``group/version/plural``, ``/v1/configmaps`` for the core group."""

    collections: set[str] = field(
        default_factory=lambda: {
            "/v1/configmaps",
            "coordination.k8s.io/v1/leases",
            "networking.istio.io/v1/virtualservices",
        }
    )
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    requests: list[ReceivedRequest] = field(default_factory=list)
    #: Returns why an object is rejected, None if it is accepted: an admission webhook.
    validate: Callable[[Json], str | None] | None = None
    #: Fills in an object's defaults before it is stored, as the schema of its kind does.
    complete: Callable[[Json], None] | None = None
    #: Called with the key of each object that was stored.
    observers: list[Callable[[tuple[str, str, str]], None]] = field(default_factory=list)
    _version: int = 1000
    #: Tests and controllers write from threads of their own: no write is lost between two others.
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def next_version(self) -> str:
        self._version += 1
        return str(self._version)

    def put(self, collection: str, document: Json) -> Json:
        """Store an object as another client would: only the versions are set."""
        self.collections.add(collection)
        metadata = document["metadata"]
        key = (collection, metadata.get("namespace", "default"), metadata["name"])
        return self.store(key, copy.deepcopy(document))

    def edit(
        self, collection: str, namespace: str, name: str, change: Callable[[Json], Any]
    ) -> None:
        with self._lock:
            document = copy.deepcopy(self.objects[collection, namespace, name])
            change(document)
            self.store((collection, namespace, name), document)

    def remove(self, collection: str, namespace: str, name: str) -> None:
        with self._lock:
            self.objects.pop((collection, namespace, name), None)

    def items(self, collection: str, namespace: str) -> list[Json]:
        """Return copies of the objects of a collection."""
        with self._lock:
            return [
                copy.deepcopy(each)
                for (of, where, _), each in self.objects.items()
                if (of, where) == (collection, namespace)
            ]

    def create(self, request: ReceivedRequest, collection: str, namespace: str) -> Json:
        key = (collection, namespace, request.body["metadata"]["name"])
        if key in self.objects:
            raise Failure(409, f'{request.plural} "{key[2]}" already exists')
        return self.store(key, request.body, request.manager)

    def patch(self, request: ReceivedRequest, key: tuple[str, str, str]) -> Json:
        with self._lock:
            return self._patch(request, key)

    def _patch(self, request: ReceivedRequest, key: tuple[str, str, str]) -> Json:
        if request.content_type == APPLY_PATCH:
            try:
                made = applied(
                    self.objects.get(key), request.body, request.manager or "", force=request.force
                )
            except ApplyConflict as conflict:
                raise Failure(409, str(conflict)) from conflict
            return self.store(key, made)
        document = copy.deepcopy(self.objects[key])
        if request.content_type == _JSON_PATCH:
            version = document["metadata"]["resourceVersion"]
            for each in request.body:
                if each["path"] == "/metadata/resourceVersion" and each["value"] != version:
                    raise Failure(409, f'"{key[2]}" was modified')
            try:
                for operation in request.body:
                    apply_operation(document, operation)
            except (LookupError, ValueError, TypeError) as error:
                message = "the server rejected our request due to an error in our request"
                raise Failure(422, message) from error
        elif request.content_type == _MERGE_PATCH:
            document = merged(document, request.body)
        else:
            raise Failure(415, f"unsupported {request.content_type}")
        return self.store(key, document, request.manager, checked=True)

    def store(
        self,
        key: tuple[str, str, str],
        document: Json,
        manager: str | None = None,
        *,
        checked: bool = False,
    ) -> Json:
        with self._lock:
            stored = self._store(key, document, manager, checked=checked)
            for observe in self.observers:
                observe(key)
            return stored

    def _store(
        self, key: tuple[str, str, str], document: Json, manager: str | None, *, checked: bool
    ) -> Json:
        if self.complete:
            self.complete(document)
        old = self.objects.get(key)
        metadata = document["metadata"]
        if old is not None:
            version = old["metadata"]["resourceVersion"]
            if checked and metadata.get("resourceVersion", version) != version:
                raise Failure(409, f'Operation cannot be fulfilled on "{key[2]}": it was modified')
            metadata["resourceVersion"] = version
            if document == old:
                return copy.deepcopy(old)  # nothing changed: not even the version
        if self.validate and (why := self.validate(document)):
            raise Failure(422, why)
        if key[0] == "/v1/configmaps" and (why := invalid_config_map(old, document)):
            raise Failure(422, f'ConfigMap "{key[2]}" is invalid: {why}')
        generation = 1 if old is None else old["metadata"].get("generation", 1)
        if old is not None and document.get("spec") != old.get("spec"):
            generation += 1
        metadata |= {
            "namespace": key[1],
            "resourceVersion": self.next_version(),
            "uid": old["metadata"]["uid"] if old else f"uid-{self._version}",
        }
        if "spec" in document:
            metadata["generation"] = generation
        if manager:
            metadata["managedFields"] = updated(old, document, manager)
        self.objects[key] = document
        return copy.deepcopy(document)
