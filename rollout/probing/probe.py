"""A running Envoy with an echo behind it, and the answers that requests of several callers get."""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import itertools
import re
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from ..envoy.configuration import Address, CertificateFiles
from ..envoy.inbound import identities
from ..envoy.local_configuration import gateway_secrets
from ..rehearsal.certificate import Certificates, make_certificates
from ..rehearsal.child_process import Child
from ..rehearsal.envoy_admin import EnvoyAdmin
from ..rehearsal.envoy_process import running_envoy
from ..rehearsal.errors import RehearsalFailed
from ..rehearsal.executables import find_envoy
from ..rehearsal.loopback import LOOPBACK
from ..routing.probe_configuration import CLUSTER, DRAW, ROUTE, TIMEOUT, on_all, probe_bootstrap
from ..routing.replies import Reply, Seen
from ..routing.requests import Request
from ..routing.view import View
from .addresses import new_address
from .http_client import CLOSED, HttpClient, RawResponse

_PROGRAM: Final = Path(__file__).with_name("echo_program.py")
_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.005
_ATTEMPTS: Final = 3
_PORT_IN_USE: Final = "in use"
_ID: Final = "x-tallykv-id"
#: Of the echo's answer to HEAD: the request's head, which is otherwise the body.
_HEAD: Final = "x-tallykv-head"
_MARK: Final = re.compile(rb"\r\n" + CLUSTER.encode() + rb": ([^\r\n]*)")
_OWN: Final = frozenset({CLUSTER, DRAW, TIMEOUT, _ID, "x-tallykv-answer"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A request with what only the probe adds to it.

    ``draw`` decides between weighted destinations. ``answer`` is the status of the pod's answer.
    ``mark`` lets the echo remember the clusters of the request and its copies.
    """

    request: Request
    draw: int | None = None
    answer: int | None = None
    mark: str = ""


class Probe:
    """Sends requests to the listeners of views."""

    def __init__(
        self,
        views: Sequence[View],
        listeners: Mapping[tuple[int, int], Address],
        certificates: Sequence[Certificates],
        echo: Address,
    ) -> None:
        self._views = views
        self._listeners = listeners
        self._contexts = [*map(_client_context, certificates)]
        self._echo = echo
        self._client = HttpClient()
        self._marks = itertools.count()

    def new_mark(self) -> str:
        return str(next(self._marks))

    async def send(self, index: int, requests: Sequence[Sent]) -> list[Reply]:
        """Send requests of the caller whose view has this index; return the replies in order."""
        groups: dict[tuple[Address, bool, str], list[int]] = {}
        replies: list[Reply] = [Reply(0)] * len(requests)
        view = self._views[index]
        for at, each in enumerate(requests):
            port = view.port_of(each.request)
            address = None if port is None else self._listeners.get((index, port))
            if address is None:
                continue
            encrypted = view.is_encrypted(each.request)
            name = each.request.host if encrypted else ""
            groups.setdefault((address, encrypted, name), []).append(at)
        for (address, encrypted, name), places in groups.items():
            context = self._contexts[index] if encrypted else None
            sent = [_bytes_of(requests[at]) for at in places]
            for at, raw in zip(
                places, await self._client.send(address, sent, context, name), strict=True
            ):
                replies[at] = _reply(raw)
        return replies

    async def count_clusters(
        self, index: int, request: Request, count: int
    ) -> collections.Counter[str]:
        """Send a request many times; return how often it came through each cluster.

        Answers that come from no pod count for the empty name.
        """
        view = self._views[index]
        port = view.port_of(request)
        if port is None:
            return collections.Counter({"": count})
        encrypted = view.is_encrypted(request)
        raw = await self._client.send(
            self._listeners[index, port],
            [_bytes_of(Sent(request))] * count,
            self._contexts[index] if encrypted else None,
            request.host if encrypted else "",
        )
        return collections.Counter(map(_cluster_of, raw))

    async def clusters_of(self, mark: str) -> list[str]:
        """Return the clusters that a marked request and its copies came through so far."""
        text = f"GET / HTTP/1.1\r\nhost: echo\r\nx-tallykv-seen: {mark}\r\n\r\n"
        [response] = await self._client.send(self._echo, [text.encode()])
        return response.body.decode().split("\n") if response.body else []

    async def close(self) -> None:
        await self._client.close()


@contextlib.asynccontextmanager
async def probing(views: Sequence[View], hosts: Iterable[str] = ()) -> AsyncIterator[Probe]:
    """Run an Envoy with all views until the block ends; raise a kind of RehearsalFailed.

    ``hosts`` are those that clients ask for, for certificates of wildcards.
    """
    find_envoy()
    names = tuple(dict.fromkeys(hosts))
    for attempts_left in reversed(range(_ATTEMPTS)):
        async with contextlib.AsyncExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(
                prefix="tallykv-routing-", ignore_cleanup_errors=True
            )
            directory = Path(stack.enter_context(temporary))
            try:
                probe = await _start(stack, directory, views, names)
            except RehearsalFailed as failed:
                # A port was free when it was chosen, and another process took it since.
                if attempts_left and _PORT_IN_USE in str(failed).lower():
                    continue
                raise
            stack.push_async_callback(probe.close)
            yield probe
            return


async def _start(
    stack: contextlib.AsyncExitStack, directory: Path, views: Sequence[View], hosts: Sequence[str]
) -> Probe:
    client = await stack.enter_async_context(aiohttp.ClientSession())
    echo, admin_address = new_address(), new_address()
    listeners = on_all(views, new_address)
    certificates = [
        await _certificates(each, directory / str(index), hosts) for index, each in enumerate(views)
    ]
    child = await Child.start(
        "the echo",
        (sys.executable, "-I", "-S", str(_PROGRAM), str(echo.port)),
        directory / "echo.log",
    )
    stack.push_async_callback(child.stop, 0)
    files = [each.by_secret for each in certificates]
    boot = probe_bootstrap(views, listeners, files, echo, admin_address)
    admin = EnvoyAdmin(admin_address, client)
    await stack.enter_async_context(running_envoy(directory, boot, admin, lambda _: None))
    await child.wait_ready(lambda: _is_open(echo), _START_SECONDS)
    return Probe(views, listeners, certificates, echo)


async def _certificates(view: View, directory: Path, hosts: Iterable[str]) -> Certificates:
    secrets = gateway_secrets(view.objects, view.proxy)
    if not (secrets.hosts or view.guarded):
        return Certificates()
    await asyncio.to_thread(directory.mkdir)
    pods = identities(view.objects, view.guarded)
    return await make_certificates(directory, secrets, view.proxy.identity, pods, hosts)


def _client_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whose certificate it is changes no route; Envoy chose it by the name that was asked for.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificates.client:
        files: CertificateFiles = certificates.client
        context.load_cert_chain(files.chain, files.key)
    return context


async def _is_open(address: Address) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, address.port)
    except OSError:
        return False
    writer.close()
    return True


def _bytes_of(sent: Sent) -> bytes:
    request = sent.request
    lines = [f"{request.method} {request.path} HTTP/1.1", f"host: {request.authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if sent.draw is not None:
        lines.append(f"{DRAW}: {sent.draw}")
    if sent.answer is not None:
        lines.append(f"x-tallykv-answer: {sent.answer}")
    if sent.mark:
        lines.append(f"{_ID}: {sent.mark}")
    if request.method not in {"GET", "HEAD", "OPTIONS", "DELETE"}:
        lines.append("content-length: 0")
    return "\r\n".join([*lines, "", ""]).encode()


def _reply(raw: RawResponse) -> Reply:
    if raw is CLOSED:
        return Reply(0)
    headers = _headers(raw.head)
    route = headers.pop(ROUTE, "")
    head = base64.b64decode(headers.pop(_HEAD)) if _HEAD in headers else raw.body
    seen = _seen(head) if _MARK.search(head) else None
    reason = "" if seen else raw.body[:200].decode("utf-8", "replace")
    return Reply(raw.status, headers, route, seen, reason)


def _cluster_of(raw: RawResponse) -> str:
    found = _MARK.search(raw.body)
    if found is None:
        seen = _reply(raw).seen
        return seen.cluster if seen else ""
    return found[1].decode()


def _seen(head: bytes) -> Seen:
    """Return the request that the echo got."""
    method, path, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    headers = _headers(head)
    own = {name: each for name, each in headers.items() if name not in _OWN}
    waits = headers.get(TIMEOUT, "")
    seconds = float(waits) / 1000 if waits.isdecimal() else 0.0
    return Seen(headers[CLUSTER], method, path, headers.get("host", ""), own, seconds)


def _headers(head: bytes) -> dict[str, str]:
    """Return the headers; several lines of a name become one."""
    found: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        key, text = name.lower(), value.strip()
        found[key] = f"{found[key]},{text}" if key in found else text
    return found
