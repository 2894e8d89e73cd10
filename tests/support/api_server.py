"""A Kubernetes API server for tests: HTTP, resourceVersions, conflicts, and faults on demand.

It stores any namespaced object and validates only ConfigMaps. Its behaviour follows the Kubernetes
API conventions: resourceVersion, generation, managedFields, the statuses 409 and 422, Status.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import web

from tests.support.api_faults import Faults, Stage, allows
from tests.support.api_objects import APPLY_PATCH, ApiObjects, Failure, Json, ReceivedRequest
from tests.support.waiting import POLL_SECONDS, until

TOKEN: Final = "a-token"  # noqa: S105 - for this test server only
_CORE_GROUPS: Final = frozenset({"", "coordination.k8s.io"})
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


Hook = Callable[["ApiServer", ReceivedRequest], Awaitable[None] | None]


@dataclass
class ApiServer(ApiObjects):
    """Collections are ``group/version/plural``, ``/v1/configmaps`` for the core group."""

    #: Verb ("get", "list", "patch", "create", "update") and plural of requests that get 403.
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    #: The rules of the Role of whoever asks; None grants everything.
    rules: list[Json] | None = None
    #: The tokens that are valid now.
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    faults: Faults | None = None
    stage: Stage = Stage.READY
    #: The time that a request takes to arrive, and its response.
    latency_seconds: float = 0.0
    #: By how much its clock is ahead.
    skew_seconds: float = 0.0
    #: Called before a patch is applied: between the read and the write of another client.
    before_patch: Hook | None = None
    #: Called after a patch is stored.
    after_patch: Hook | None = None
    #: Called when a write of any kind arrives, and when it is applied but not answered.
    before_write: Hook | None = None
    after_write: Hook | None = None
    port: int = 0
    _runner: web.AppRunner | None = None
    _freeze_when: Callable[[], bool] | None = None
    _is_frozen: bool = False

    def __post_init__(self) -> None:
        self.observers.append(self._look_whether_to_freeze)

    @property
    def is_closed(self) -> bool:
        return self._runner is None

    async def open_port(self) -> None:
        self._runner = web.AppRunner(_app(self), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def close_port(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def freeze_when(self, condition: Callable[[], bool]) -> None:
        """Answer nobody from the write on that makes a condition true.

        So a client is stopped in that moment, however slow the test is to notice it.
        """
        self._freeze_when = condition

    @contextlib.contextmanager
    def frozen(self, *, seconds: float = 180.0, what: str = "the moment") -> Iterator[None]:
        """Wait for the moment of ``freeze_when``, and go on when the block ends."""
        try:
            until(lambda: self._is_frozen, seconds=seconds, what=what)
            yield
        finally:
            self._freeze_when, self._is_frozen = None, False

    def _look_whether_to_freeze(self, _: tuple[str, str, str]) -> None:
        if self._freeze_when is not None and self._freeze_when():
            self._freeze_when, self._is_frozen = None, True

    async def _wait_while_frozen(self) -> None:
        while self._is_frozen:  # noqa: ASYNC110 - another thread ends it
            await asyncio.sleep(POLL_SECONDS)

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

    async def review(self, request: web.Request) -> web.Response:
        """Answer a SelfSubjectAccessReview from the rules."""
        document = await request.json()
        asked = document["spec"]["resourceAttributes"]
        verb, resource, name = asked["verb"], asked["resource"], asked.get("name", "")
        allowed = (verb, resource) not in self.forbidden and (
            self.rules is None or allows(self.rules, verb, asked.get("group", ""), resource, name)
        )
        return _json({**document, "status": {"allowed": allowed}}, 201)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.latency_seconds)
        await self._wait_while_frozen()
        response = await self._handle(request)
        await self._wait_while_frozen()
        response.headers["Date"] = format_datetime(
            datetime.now(UTC) + timedelta(seconds=self.skew_seconds), usegmt=True
        )
        await asyncio.sleep(self.latency_seconds)
        return response

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        group = request.match_info.get("group", "")
        plural, name = request.match_info["plural"], request.match_info.get("name", "")
        collection = f"{group}/{request.match_info['version']}/{plural}"
        received = ReceivedRequest(
            request.method,
            plural,
            name,
            request.query.get("fieldManager"),
            yaml.safe_load(raw) if raw else None,
            request.content_type,
            force=request.query.get("force") == "true",
        )
        self.requests.append(received)
        taken = self.faults and self.faults.take(request.method, plural)
        fault = self.faults if taken else None
        try:
            await self._start_up(group)
            if fault and not fault.after_applying and (broken := await _broken(request, fault)):
                return broken
            self._authenticate(request)
            is_write = request.method != "GET"
            if is_write and self.before_write:
                await _called(self.before_write(self, received))
            answer = await self._respond(received, collection, request.match_info["namespace"])
            if is_write and self.after_write:
                await _called(self.after_write(self, received))
        except Failure as failure:
            return _status(failure.code, str(failure))
        if fault and fault.after_applying and (broken := await _broken(request, fault)):
            return broken
        return _json(answer, 201 if request.method == "POST" else 200)

    def _authenticate(self, request: web.Request) -> None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise Failure(401, "Unauthorized")

    async def _start_up(self, group: str) -> None:
        if self.stage is Stage.HANGING:
            await asyncio.Event().wait()
        if self.stage is Stage.NOT_LOADED:
            raise Failure(403, 'forbidden: User "me" cannot do this: RBAC is not loaded')
        if self.stage is Stage.INSTALLING and group not in _CORE_GROUPS:
            raise Failure(
                503,
                "the request has been made before all known HTTP paths have been installed, please"
                " try again",
            )

    async def _respond(self, request: ReceivedRequest, collection: str, namespace: str) -> Json:
        verb = {
            "GET": "get" if request.name else "list", "PATCH": "patch", "POST": "create",
            "DELETE": "delete",
        }.get(request.method, "update")  # fmt: skip
        group = collection.partition("/")[0]
        if (verb, request.plural) in self.forbidden or (
            self.rules is not None
            and not allows(self.rules, verb, group, request.plural, request.name)
        ):
            raise Failure(403, f'{request.plural} is forbidden: User "me" cannot {verb} resource')
        if collection not in self.collections:
            raise Failure(404, "the server could not find the requested resource")
        if verb == "list":
            return {
                "kind": "List",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self._version)},
                "items": self.items(collection, namespace),
            }
        if verb == "create":
            return self.create(request, collection, namespace)
        key = (collection, namespace, request.name)
        if verb == "patch" and self.before_patch:
            await _called(self.before_patch(self, request))
        if key not in self.objects and request.content_type != APPLY_PATCH:
            raise Failure(404, f'{request.plural} "{request.name}" not found')
        if verb == "delete":
            return self.objects.pop(key)
        if verb == "get":
            return copy.deepcopy(self.objects[key])
        if verb == "update":
            return self.store(key, request.body, request.manager, checked=True)
        stored = self.patch(request, key)
        if self.after_patch:
            await _called(self.after_patch(self, request))
        return stored


async def _broken(request: web.Request, fault: Faults) -> web.StreamResponse | None:
    status, response = await fault.inject(request)
    return response if status is None else _status(status, "broken on purpose")


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
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    app.router.add_post(reviews, server.review)
    for root in ("/api/{version}", "/apis/{group}/{version}"):
        base = root + "/namespaces/{namespace}/{plural}"
        app.router.add_route("*", base, server.handle)
        app.router.add_route("*", base + "/{name}", server.handle)
    return app


@contextlib.asynccontextmanager
async def serving(server: ApiServer) -> AsyncIterator[ApiServer]:
    """Serve on a loopback port; a second call uses the same port and keeps the objects."""
    try:
        await server.open_port()
        yield server
    finally:
        await server.close_port()
