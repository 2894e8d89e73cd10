"""Open the store that a URL names.

``embedded:``, ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://h:p,h:p/service``,
``redis+cluster://h:p,h:p``. The query may hold ``db`` and, with ``rediss://`` only, TLS options.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from ..telemetry.store_meter import StoreMeter
from .cluster import Address, ClusterLink
from .embedded import EmbeddedRedis
from .link import Link, NodeLink
from .redis import RedisStore
from .sentinel import Sentinels
from .wire import Target, Wire, open_wire

SCHEMES: Final = ("embedded", "redis", "rediss", "unix", "redis+sentinel", "redis+cluster")


class StoreUrlInvalid(ValueError):
    """The store URL can't be used. The message says what is wrong with it."""


def mode_of(url: str) -> str:
    """Return the kind of store: embedded, standalone, sentinel or cluster."""
    scheme = url.partition(":")[0]
    return {"embedded": "embedded", "redis+sentinel": "sentinel", "redis+cluster": "cluster"}.get(
        scheme, "standalone"
    )


def embedded_socket(url: str) -> str:
    """Return the socket's path in ``embedded:/path``; "" if this process must start the store.

    A supervisor passes such a URL to its workers, which share its embedded store.
    """
    path = url.partition(":")[2]
    return path if path.startswith("/") else ""


def describe_database(url: str) -> dict[str, str | int]:
    """Return the ``db.*`` and ``server.*`` attributes of OpenTelemetry's conventions for Redis.

    For Sentinel and Cluster, without the server's address, which changes.
    """
    attributes: dict[str, str | int] = {"db.system.name": "redis"}
    mode = mode_of(url)
    if mode == "standalone":
        target = build_target(url)
        attributes["db.namespace"] = str(target.db)
        attributes["server.address"] = target.path or target.host
        if target.path is None:
            attributes["server.port"] = target.port
    elif mode == "embedded":
        attributes["db.namespace"] = "0"
    return attributes


@asynccontextmanager
async def open_store(
    url: str,
    *,
    data_dir: Path,
    timeout_seconds: float,
    operation_ttl_seconds: int,
    meter: StoreMeter | None = None,
) -> AsyncIterator[RedisStore]:
    """Open the store, without waiting for a remote one to answer.

    ``operation_ttl_seconds`` is how long operation records last. Raises StoreUrlInvalid,
    EmbeddedUnavailable.
    """
    async with AsyncExitStack() as stack:
        if mode_of(url) == "embedded":
            socket = embedded_socket(url)
            if not socket:
                server = await stack.enter_async_context(EmbeddedRedis(data_dir))
                socket = str(server.socket)
            target = Target(path=socket)
            link: Link = NodeLink(lambda: open_wire(target), meter)
        else:
            link = build_link(url, meter)
        stack.push_async_callback(link.close)
        yield RedisStore(
            link,
            timeout_seconds=timeout_seconds,
            operation_ttl_seconds=operation_ttl_seconds,
            meter=meter,
        )


def build_link(url: str, meter: StoreMeter | None = None) -> Link:
    """Return the link that the URL describes, without connecting. Raises StoreUrlInvalid."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StoreUrlInvalid(str(error)) from None
    mode = mode_of(url)
    if parts.scheme not in SCHEMES:
        raise StoreUrlInvalid(f"its scheme must be one of {', '.join(SCHEMES)}")
    if mode == "standalone":
        target = build_target(url)
        return NodeLink(lambda: open_wire(target), meter)
    credentials, _, hosts = parts.netloc.rpartition("@")
    addresses = [_address(host, 26379 if mode == "sentinel" else 6379) for host in hosts.split(",")]
    query = f"?{parts.query}" if parts.query else ""
    login = build_target(f"redis://{credentials and credentials + '@'}placeholder{query}")
    if mode == "cluster":
        return ClusterLink(
            # A replica redirects to its primary, and tells who has which keys.
            addresses,
            lambda a: open_wire(replace(login, host=a[0], port=a[1], any_role=True)),
            meter,
        )
    service = parts.path.strip("/")
    if not service or "/" in service:
        raise StoreUrlInvalid("after the Sentinels it must name one service, as in …/mymaster")
    return NodeLink(_sentinel_connector(addresses, service, login), meter)


def _sentinel_connector(
    addresses: list[Address], service: str, login: Target
) -> Callable[[], Awaitable[Wire]]:
    sentinels = Sentinels(addresses, service)

    async def connect_primary() -> Wire:
        host, port = await sentinels.primary()
        return await open_wire(replace(login, host=host, port=port))

    return connect_primary


def build_target(url: str) -> Target:
    """Parse a ``redis://``, ``rediss://`` or ``unix://`` URL. Raises StoreUrlInvalid.

    ``scheme://[user[:password]@]host[:port][/db]`` or ``unix://[user[:password]@]path``; the query
    may hold ``db``, ``username``, ``password`` and the ``ssl_…`` options.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StoreUrlInvalid(str(error)) from None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    tls = {name: options.pop(name) for name in list(options) if name.startswith("ssl_")}
    path = unquote(parts.path)
    is_unix = parts.scheme == "unix"
    if is_unix and not path:
        raise StoreUrlInvalid("after unix:// it must name the socket's path")
    db = options.pop("db", "" if is_unix else path.strip("/")) or "0"
    if not re.fullmatch(r"[0-9]{1,9}", db):
        raise StoreUrlInvalid(f"db: {db!r} is not a whole number")
    username = options.pop("username", unquote(parts.username or "")) or None
    password = options.pop("password", unquote(parts.password or "")) or None
    if options or (tls and parts.scheme != "rediss"):
        raise StoreUrlInvalid(f"unknown option: {', '.join(sorted({**options, **tls}))}")
    return Target(
        host=unquote(parts.hostname or "localhost"),
        port=6379 if port is None else port,
        path=path if is_unix else None,
        db=int(db),
        username=username,
        password=password,
        tls=_tls(tls) if parts.scheme == "rediss" else None,
    )


def _tls(options: dict[str, Any]) -> ssl.SSLContext:
    authorities = options.pop("ssl_ca_certs", None)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise StoreUrlInvalid(f"ssl_ca_certs: {authorities}: {error.strerror or error}") from None
    requirement = options.pop("ssl_cert_reqs", "required")
    if requirement not in {"required", "none"}:
        raise StoreUrlInvalid("ssl_cert_reqs: it must be required or none")
    checked = str(options.pop("ssl_check_hostname", True)).lower() not in {"false", "no", "0"}
    context.check_hostname = checked and requirement == "required"
    if requirement == "none":
        context.verify_mode = ssl.CERT_NONE
    certificate, key = options.pop("ssl_certfile", None), options.pop("ssl_keyfile", None)
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            reason = error.strerror or error
            raise StoreUrlInvalid(f"ssl_certfile: {certificate}: {reason}") from None
    if options:
        raise StoreUrlInvalid(f"unknown option: {', '.join(sorted(options))}")
    return context


def _address(text: str, default_port: int) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(default_port)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise StoreUrlInvalid(f"{text!r} is not host:port")
    return host.strip("[]"), int(port)
