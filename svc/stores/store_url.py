"""Open the store that a URL names.

``embedded:``, ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://h:p,h:p/service``,
``redis+cluster://h:p,h:p``; the last two over TLS with ``rediss+``. The query may hold ``db``, TLS
options with ``rediss`` only, and ``sentinel_username`` and ``sentinel_password``.

A URL may hold a password, and a malformed one anywhere. So no message repeats any part of a URL.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..telemetry.store_meter import StoreMeter
from .cluster import Address, ClusterLink
from .embedded import EmbeddedRedis
from .failures import Failures
from .link import Link
from .node_link import NodeLink
from .passwords import PasswordSource
from .reasons import Reason
from .redis import RedisStore
from .sentinel import Sentinels
from .tls_mismatch import is_mismatch
from .wire import Target, Wire, open_wire

SCHEMES: Final = (
    *("embedded", "redis", "rediss", "unix"),
    *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)
#: What to do if a password makes the URL mean something else.
PERCENT: Final = "write / ? # @ and % in user and password as %2F %3F %23 %40 %25"


class StoreUrlInvalid(ValueError):
    """The store URL can't be used. The message says why, and repeats no part of the URL."""


def mode_of(url: str) -> str:
    """Return the kind of store: embedded, standalone, sentinel or cluster."""
    scheme = url.partition(":")[0]
    if scheme == "embedded":
        return "embedded"
    _, _, kind = scheme.partition("+")
    return kind if kind in {"sentinel", "cluster"} else "standalone"


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
    password: PasswordSource | None = None,
) -> AsyncIterator[RedisStore]:
    """Open the store, without waiting until a remote one answers or an embedded one has started.

    ``operation_ttl_seconds`` is how long operation records last. ``password`` replaces the URL's.
    Raises StoreUrlInvalid, PasswordUnreadable, EmbeddedUnavailable.
    """
    failures = Failures(
        None if meter is None else meter.failures,
        ignored=frozenset({Reason.IS_CLUSTER} if mode_of(url) == "cluster" else ()),
    )
    embedded: EmbeddedRedis | None = None
    async with AsyncExitStack() as stack:
        stack.callback(failures.close)
        if mode_of(url) == "embedded":
            socket = embedded_socket(url)
            if not socket:
                embedded = await stack.enter_async_context(EmbeddedRedis(data_dir))
                socket = str(embedded.socket)
            target = Target(path=socket)
            link: Link = NodeLink(lambda: open_wire(target), meter, failures=failures)
        else:
            link = build_link(url, meter, password=password, failures=failures)
        stack.push_async_callback(link.close)
        store = RedisStore(
            link,
            timeout_seconds=timeout_seconds,
            operation_ttl_seconds=operation_ttl_seconds,
            meter=meter,
            failures=failures,
            embedded=embedded,
            is_own=mode_of(url) == "embedded",
        )
        stack.callback(store.close)
        yield store


def build_link(
    url: str,
    meter: StoreMeter | None = None,
    *,
    password: PasswordSource | None = None,
    failures: Failures | None = None,
) -> Link:
    """Return the link that the URL describes, without connecting.

    Raises StoreUrlInvalid, and PasswordUnreadable if ``password`` can't be read now.
    """
    parts, _ = _split(url)
    mode = mode_of(url)
    if parts.scheme not in SCHEMES:
        raise StoreUrlInvalid(f"its scheme must be one of {', '.join(SCHEMES)}")
    if password is not None:
        password()
    failures = failures or Failures()

    async def open_to(target: Target) -> Wire:
        if password is not None:
            target = replace(target, password=password())
        try:
            return await open_wire(target)
        except (ConnectionError, asyncio.CancelledError):  # cancelled: no answer in time
            failures.suspect_tls(lambda: is_mismatch(target))
            raise

    if mode == "standalone":
        target = _without_second(build_target(url), password)
        return NodeLink(lambda: open_to(target), meter, failures=failures)
    credentials, _, hosts = parts.netloc.rpartition("@")
    addresses = [_address(host, 26379 if mode == "sentinel" else 6379) for host in hosts.split(",")]
    query, own = _sentinel_options(parts.query) if mode == "sentinel" else (parts.query, {})
    query = f"?{query}" if query else ""
    scheme = parts.scheme.partition("+")[0]
    login = build_target(f"{scheme}://{credentials and credentials + '@'}placeholder{query}")
    login = _without_second(login, password)
    if mode == "cluster":
        return ClusterLink(
            addresses,
            # A replica redirects to its primary, and tells who has which keys.
            lambda a: open_to(replace(login, host=a[0], port=a[1], any_role=True)),
            meter,
            failures=failures,
        )
    if not (service := parts.path.strip("/")) or "/" in service:
        raise StoreUrlInvalid("after the Sentinels it must name one service, as in …/mymaster")
    sentinels = Sentinels(addresses, service, {**own, **_redis_py_tls(scheme, query)})

    async def connect_primary() -> Wire:
        host, port = await sentinels.primary()
        return await open_to(replace(login, host=host, port=port))

    return NodeLink(connect_primary, meter, failures=failures)


def _sentinel_options(query: str) -> tuple[str, dict[str, str]]:
    """Return the query without the Sentinels' own credentials, and those."""
    parts = query.split("&")
    own = [part for part in parts if part.startswith(("sentinel_username=", "sentinel_password="))]
    rest = "&".join(part for part in parts if part not in own)
    return rest, {name.removeprefix("sentinel_"): value for name, value in parse_qsl("&".join(own))}


def _redis_py_tls(scheme: str, query: str) -> dict[str, Any]:
    """Return the options of TLS as redis-py takes them; build_target has checked them."""
    options: dict[str, Any] = dict(parse_qsl(query[1:])) if scheme == "rediss" else {}
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    if "ssl_check_hostname" in tls:
        tls["ssl_check_hostname"] = _is_true(tls["ssl_check_hostname"])
    return {"ssl": scheme == "rediss", **tls}


def _without_second(target: Target, password: PasswordSource | None) -> Target:
    if password is not None and target.password is not None:
        raise StoreUrlInvalid("it holds a password, and another is set beside it: keep one")
    return target


def _split(url: str) -> tuple[SplitResult, int | None]:
    """Return the URL's parts and its port."""
    try:
        parts = urlsplit(url)
        # Only one server has a single port; the lists of the others are parsed elsewhere.
        port = None if "+" in parts.scheme else parts.port
    except ValueError:
        raise StoreUrlInvalid(f"its host or port is malformed; {PERCENT}") from None
    if parts.fragment:
        raise StoreUrlInvalid(f"it must not have a #; {PERCENT}")
    return parts, port


def build_target(url: str) -> Target:
    """Parse a ``redis://``, ``rediss://`` or ``unix://`` URL. Raises StoreUrlInvalid.

    ``scheme://[user[:password]@]host[:port][/db]`` or ``unix://[user[:password]@]path``; the query
    may hold ``db``, ``username``, ``password`` and the ``ssl_…`` options.
    """
    parts, port = _split(url)
    try:
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        options = {}
        if parts.query:
            raise StoreUrlInvalid(f"its query is malformed; {PERCENT}") from None
    tls = {name: options.pop(name) for name in list(options) if name.startswith("ssl_")}
    path = unquote(parts.path)
    is_unix = parts.scheme == "unix"
    if is_unix and not path:
        raise StoreUrlInvalid("after unix:// it must name the socket's path")
    db = options.pop("db", "" if is_unix else path.strip("/")) or "0"
    if not re.fullmatch(r"[0-9]{1,9}", db):
        raise StoreUrlInvalid(f"the database is not a whole number; {PERCENT}")
    username = options.pop("username", unquote(parts.username or "")) or None
    password = options.pop("password", unquote(parts.password or "")) or None
    if options or (tls and parts.scheme != "rediss"):
        raise StoreUrlInvalid(f"unknown option in its query; {PERCENT}")
    return Target(
        host=_host(unquote(parts.hostname or "localhost")),
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
        reason = os.strerror(error.errno) if error.errno else "no certificates"
        raise StoreUrlInvalid(f"ssl_ca_certs: {reason}") from None
    requirement = options.pop("ssl_cert_reqs", "required")
    if requirement not in {"required", "none"}:
        raise StoreUrlInvalid("ssl_cert_reqs: it must be required or none")
    checked = _is_true(options.pop("ssl_check_hostname", "yes"))
    context.check_hostname = checked and requirement == "required"
    if requirement == "none":
        context.verify_mode = ssl.CERT_NONE
    certificate, key = options.pop("ssl_certfile", None), options.pop("ssl_keyfile", None)
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "no certificate with its key"
            raise StoreUrlInvalid(f"ssl_certfile, ssl_keyfile: {reason}") from None
    if options:
        raise StoreUrlInvalid(f"unknown option in its query; {PERCENT}")
    return context


def _is_true(text: str) -> bool:
    return text.lower() not in {"false", "no", "0"}


def _address(text: str, default_port: int) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(default_port)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise StoreUrlInvalid(f"one of its servers is not host:port; {PERCENT}")
    return _host(host.strip("[]")), int(port)


def _host(name: str) -> str:
    """Return the name if the resolver can take it. Raises StoreUrlInvalid."""
    try:
        name.encode("idna")
    except UnicodeError:
        raise StoreUrlInvalid(f"its host is malformed; {PERCENT}") from None
    return name
