"""From a store URL to an open store.

``embedded:``, ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://h:p,h:p/service``,
``redis+cluster://h:p,h:p``; the query holds redis-py's connection options.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from .cluster import Address, ClusterLink
from .coalescing import CoalescingStore
from .embedded import EmbeddedRedis
from .link import Link, NodeLink

SCHEMES: Final = ("embedded", "redis", "rediss", "unix", "redis+sentinel", "redis+cluster")

Connect = Callable[[], Awaitable[AbstractConnection]]


class StoreUrlInvalid(ValueError):
    """The store URL can't be used; the message says what is wrong with it."""


def mode_of(url: str) -> str:
    """Name the kind of store for people: embedded, standalone, sentinel or cluster."""
    scheme = urlsplit(url).scheme
    return {"embedded": "embedded", "redis+sentinel": "sentinel", "redis+cluster": "cluster"}.get(
        scheme, "standalone"
    )


@asynccontextmanager
async def open_store(
    url: str, *, data_dir: Path, timeout_seconds: float, operation_ttl_seconds: int
) -> AsyncIterator[CoalescingStore]:
    """Open the store; it need not answer yet. Raises StoreUrlInvalid, EmbeddedUnavailable."""
    if mode_of(url) == "embedded":
        async with EmbeddedRedis(data_dir) as server:
            link: Link = NodeLink(connector(_options(f"unix://{server.socket}")))
            async with _closing(link) as open_link:
                yield CoalescingStore(
                    open_link,
                    timeout_seconds=timeout_seconds,
                    operation_ttl_seconds=operation_ttl_seconds,
                )
        return
    async with _closing(build_link(url)) as open_link:
        yield CoalescingStore(
            open_link, timeout_seconds=timeout_seconds, operation_ttl_seconds=operation_ttl_seconds
        )


@asynccontextmanager
async def _closing(link: Link) -> AsyncIterator[Link]:
    try:
        yield link
    finally:
        await link.close()


def build_link(url: str) -> Link:
    """Return the link that the URL describes, without connecting; raise StoreUrlInvalid."""
    parts = urlsplit(url)
    mode = mode_of(url)
    if parts.scheme not in SCHEMES:
        raise StoreUrlInvalid(f"its scheme must be one of {', '.join(SCHEMES)}")
    if mode == "standalone":
        return NodeLink(connector(_options(url)))
    credentials, _, hosts = parts.netloc.rpartition("@")
    addresses = [_address(host, 26379 if mode == "sentinel" else 6379) for host in hosts.split(",")]
    query = f"?{parts.query}" if parts.query else ""
    options = _options(f"redis://{credentials and credentials + '@'}placeholder{query}")
    connection_class = options.pop("connection_class", Connection)
    for name in ("host", "port"):
        options.pop(name, None)
    if mode == "cluster":
        return ClusterLink(
            addresses,
            lambda a: connector(
                {**options, "connection_class": connection_class, "host": a[0], "port": a[1]}
            )(),
        )
    service = parts.path.strip("/")
    if not service or "/" in service:
        raise StoreUrlInvalid("after the Sentinels it must name one service, as in …/mymaster")
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        addresses, sentinel_kwargs=_sentinel_options()
    )

    async def connect_primary() -> AbstractConnection:
        host, port = await sentinel.discover_master(service)
        return await connector(
            {**options, "connection_class": connection_class, "host": host, "port": port}
        )()

    return NodeLink(connect_primary)


def connector(options: dict[str, Any]) -> Connect:
    """Return a function that opens one connection; raise StoreUrlInvalid for unknown options."""
    options = {**_plain_options(), **options}
    connection_class = options.pop("connection_class", Connection)
    try:
        connection_class(**options)
    except TypeError as error:
        raise StoreUrlInvalid(f"unknown option: {error}") from None

    async def connect() -> AbstractConnection:
        connection: AbstractConnection = connection_class(**options)
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection

    return connect


def _plain_options() -> dict[str, Any]:
    # No timeouts: the round trip's deadline covers connecting, sending and reading alike.
    return {
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }


def _sentinel_options() -> dict[str, Any]:
    return {**_plain_options(), "socket_timeout": 0.2, "socket_connect_timeout": 0.2}


def _options(url: str) -> dict[str, Any]:
    try:
        return dict(parse_url(url))
    except ValueError as error:
        raise StoreUrlInvalid(str(error)) from None


def _address(text: str, default_port: int) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(default_port)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise StoreUrlInvalid(f"{text!r} is not host:port")
    return host.strip("[]"), int(port)
