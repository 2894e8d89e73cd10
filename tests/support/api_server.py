"""A Kubernetes API server for tests: HTTP, resourceVersions, conflicts, and faults on demand.

It stores any namespaced object and does not validate its kind. Its behaviour follows the Kubernetes
API conventions: resourceVersion, generation, managedFields, the statuses 409 and 422, Status.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import web

from tests.support.json_patches import apply_operation, merged

Json = dict[str, Any]
TOKEN: Final = "a-token"  # noqa: S105 - for this test server only
_JSON_PATCH: Final = "application/json-patch+json"
_MERGE_PATCH: Final = "application/merge-patch+json"
_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


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


@dataclass
class Faults:
    """What goes wrong with the next requests of these ``methods``."""

    #: The response has this status, and the request has no effect.
    status: int | None = None
    #: The response has no JSON and no Content-Type, as from a proxy in front of the server.
    without_body: bool = False
    #: The connection is reset.
    reset: bool = False
    #: The request is applied before the fault.
    after_applying: bool = False
    #: There is no response.
    hang: bool = False
    #: The response has the status 200 and a body that is no JSON.
    garbage: bool = False
    methods: frozenset[str] = frozenset({"GET", "PATCH", "POST", "PUT"})
    #: The number of requests with this fault; None for all.
    times: int | None = None

    def take(self, method: str) -> bool:
        if method not in self.methods or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


Hook = Callable[["ApiServer", ReceivedRequest], Awaitable[None] | None]


@dataclass
class ApiServer:
    """Collections are ``group/version/plural``, ``/v1/configmaps`` for the core group."""

    collections: set[str] = field(
        default_factory=lambda: {"/v1/configmaps", "networking.istio.io/v1/virtualservices"}
    )
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    requests: list[ReceivedRequest] = field(default_factory=list)
    #: Verb ("get", "list", "patch", "create", "update") and plural of requests that get 403.
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    faults: Faults | None = None
    #: Called before a patch is applied: between the read and the write of another client.
    before_patch: Hook | None = None
    #: Called after a patch is stored.
    after_patch: Hook | None = None
    #: Returns why an object is rejected, None if it is accepted: an admission webhook.
    validate: Callable[[Json], str | None] | None = None
    port: int = 0
    _version: int = 1000

    def next_version(self) -> str:
        self._version += 1
        return str(self._version)

    def put(self, collection: str, document: Json) -> Json:
        """Store an object as another client would: only the versions are set."""
        self.collections.add(collection)
        metadata = document["metadata"]
        key = (collection, metadata.get("namespace", "default"), metadata["name"])
        return self._store(key, copy.deepcopy(document))

    def edit(
        self, collection: str, namespace: str, name: str, change: Callable[[Json], Any]
    ) -> None:
        document = copy.deepcopy(self.objects[collection, namespace, name])
        change(document)
        self._store((collection, namespace, name), document)

    def writes(self) -> list[ReceivedRequest]:
        return [each for each in self.requests if each.method != "GET"]

    def kubeconfig(self, path: Path, **user: Any) -> Path:
        """Write a kubeconfig with the contexts ``here`` (current) and ``elsewhere``."""
        clusters = [
            # Insecure: there is no TLS, and loading the machine's certificates would be slow.
            {"name": name, "cluster": {"server": server, "insecure-skip-tls-verify": True}}
            for name, server in (
                ("one", f"http://127.0.0.1:{self.port}"),
                ("two", "http://127.0.0.1:1"),
            )
        ]
        contexts = [
            {"name": "here", "context": {"cluster": "one", "user": "me"}},
            {"name": "elsewhere", "context": {"cluster": "two", "user": "me"}},
        ]
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "here",
                    "clusters": clusters,
                    "contexts": contexts,
                    "users": [{"name": "me", "user": user or {"token": TOKEN}}],
                }
            )
        )
        return path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        group = request.match_info.get("group", "")
        plural, name = request.match_info["plural"], request.match_info.get("name", "")
        collection = f"{group}/{request.match_info['version']}/{plural}"
        received = ReceivedRequest(
            request.method,
            plural,
            name,
            request.query.get("fieldManager"),
            json.loads(raw) if raw else None,
            request.content_type,
        )
        self.requests.append(received)
        fault = self.faults if self.faults and self.faults.take(request.method) else None
        if fault and not fault.after_applying and (broken := await self._inject(request, fault)):
            return broken
        try:
            _authenticate(request)
            answer = await self._respond(received, collection, request.match_info["namespace"])
        except Failure as failure:
            return _status(failure.code, str(failure))
        if fault and fault.after_applying and (broken := await self._inject(request, fault)):
            return broken
        return _json(answer, 201 if request.method == "POST" else 200)

    async def _inject(self, request: web.Request, fault: Faults) -> web.StreamResponse | None:
        if fault.reset:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.hang:
            await asyncio.Event().wait()
        if fault.garbage:
            return web.Response(text="<html>", content_type="text/html")
        if fault.status is not None and fault.without_body:
            # Written by hand, because aiohttp always sets Content-Type.
            assert request.transport is not None
            head = (
                f"HTTP/1.1 {fault.status} Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            request.transport.write(head.encode())
            request.transport.close()
            return web.Response()
        if fault.status is not None:
            return _status(fault.status, "broken on purpose")
        return None

    async def _respond(self, request: ReceivedRequest, collection: str, namespace: str) -> Json:
        verb = {"GET": "get" if request.name else "list", "PATCH": "patch", "POST": "create"}.get(
            request.method, "update"
        )
        if (verb, request.plural) in self.forbidden:
            raise Failure(403, f'{request.plural} is forbidden: User "me" cannot {verb} resource')
        if collection not in self.collections:
            raise Failure(404, "the server could not find the requested resource")
        if verb == "list":
            return {
                "kind": "List",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self._version)},
                "items": [
                    copy.deepcopy(each)
                    for (of, where, _), each in self.objects.items()
                    if (of, where) == (collection, namespace)
                ],
            }
        if verb == "create":
            return self._create(request, collection, namespace)
        key = (collection, namespace, request.name)
        if verb == "patch" and self.before_patch:
            await _called(self.before_patch(self, request))
        if key not in self.objects:
            raise Failure(404, f'{request.plural} "{request.name}" not found')
        if verb == "get":
            return copy.deepcopy(self.objects[key])
        if verb == "update":
            return self._store(key, request.body, request.manager, checked=True)
        stored = self._patch(request, key)
        if self.after_patch:
            await _called(self.after_patch(self, request))
        return stored

    def _create(self, request: ReceivedRequest, collection: str, namespace: str) -> Json:
        key = (collection, namespace, request.body["metadata"]["name"])
        if key in self.objects:
            raise Failure(409, f'{request.plural} "{key[2]}" already exists')
        return self._store(key, request.body, request.manager)

    def _patch(self, request: ReceivedRequest, key: tuple[str, str, str]) -> Json:
        document = copy.deepcopy(self.objects[key])
        if request.content_type == _JSON_PATCH:
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
        return self._store(key, document, request.manager, checked=True)

    def _store(
        self,
        key: tuple[str, str, str],
        document: Json,
        manager: str | None = None,
        *,
        checked: bool = False,
    ) -> Json:
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
            _note_writer(metadata, manager)
        self.objects[key] = document
        return copy.deepcopy(document)


def _note_writer(metadata: Json, manager: str) -> None:
    """Record the manager as the only writer of spec.http: a list is one value to Kubernetes."""
    others = [each for each in metadata.get("managedFields", []) if each["manager"] != manager]
    for each in others:
        each.get("fieldsV1", {}).get("f:spec", {}).pop("f:http", None)
    mine = {
        "manager": manager,
        "operation": "Update",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "fieldsV1": {"f:spec": {"f:http": {}}},
    }
    metadata["managedFields"] = [*others, mine]


def _authenticate(request: web.Request) -> None:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Failure(401, "Unauthorized")


async def _called(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result


def _status(code: int, message: str) -> web.Response:
    said = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, "Unknown"),
        "code": code,
    }
    return _json(said, code)


def _json(said: Json, code: int) -> web.Response:
    # Without a charset, like the real server: clients compare the whole header.
    return web.Response(
        body=json.dumps(said).encode(), status=code, headers={"Content-Type": "application/json"}
    )


def _app(server: ApiServer) -> web.Application:
    app = web.Application()
    for root in ("/api/{version}", "/apis/{group}/{version}"):
        base = root + "/namespaces/{namespace}/{plural}"
        app.router.add_route("*", base, server.handle)
        app.router.add_route("*", base + "/{name}", server.handle)
    return app


@contextlib.asynccontextmanager
async def serving(server: ApiServer) -> AsyncIterator[ApiServer]:
    """Serve on a loopback port; a second call uses the same port and keeps the objects."""
    runner = web.AppRunner(_app(server), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", server.port, reuse_address=True)
    try:
        await site.start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()
