"""What both clients need of httpx: where the service is, who asks, how long to wait."""

from __future__ import annotations

import copy
import os
import random
import secrets
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

import httpx

from .. import __version__
from .counter_operations import Operations
from .errors import Invalid
from .exchange import Answer, NoAnswer, Policy, Request

Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)

URL_VARIABLE: Final = "TALLYKV_URL"
TOKEN_VARIABLE: Final = "TALLYKV_TOKEN"  # noqa: S105 - the variable's name
DEFAULT_URL: Final = "http://localhost:8080"
DEADLINE_SECONDS: Final = 30.0
TRY_SECONDS: Final = 10.0
#: The service sends something at least every 15 seconds.
SILENCE_SECONDS: Final = 40.0
CONNECT_SECONDS: Final = 5.0


class Secret:
    """A text that no repr and no traceback shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a client reaches the service."""

    base_url: str
    token: Secret | None
    tls: ssl.SSLContext | None

    @property
    def httpx_options(self) -> dict[str, Any]:
        """The arguments of httpx's clients."""
        options: dict[str, Any] = {
            "limits": httpx.Limits(
                max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30
            )
        }
        if self.tls is not None:
            options["verify"] = self.tls
        elif self.base_url.lower().startswith("http:"):
            # Without TLS and redirects nothing is verified, and httpx reads all authorities that it
            # trusts for every client. This context trusts none.
            options["verify"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return options

    def build(self, request: Request, timeout: httpx.Timeout) -> httpx.Request:
        """Return the request for httpx. Its repr does not show the token. Raises Invalid."""
        headers = {
            # A gateway that compresses would take the strong ETag away.
            "Accept-Encoding": "identity",
            "Accept": "*/*",
            "User-Agent": f"tallykv-client/{__version__}",
            **request.headers,
        }
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        has_body = request.body or request.method in {"PUT", "POST"}
        try:
            return httpx.Request(
                request.method,
                self.base_url + request.target,
                headers=headers,
                content=request.body if has_body else None,
                extensions={"timeout": timeout.as_dict()},
            )
        except UnicodeEncodeError:
            raise Invalid("a header can't hold characters beyond ASCII") from None
        except httpx.InvalidURL as error:  # a prefix of any length is in it
            raise Invalid(f"the request can't be sent: {error}") from None


def read_options(
    base_url: str | None,
    token: str | None,
    ca_file: str | Path | None,
    cert_file: str | Path | None,
    key_file: str | Path | None,
) -> Options:
    """Return the options; the environment gives those that are None. Raises Invalid."""
    url = base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    text = token if token is not None else os.environ.get(TOKEN_VARIABLE)
    if text and not (text.isascii() and text.isprintable() and " " not in text):
        raise Invalid("token: it holds what no token holds, such as a line break")
    tls = None
    if ca_file or cert_file:
        try:
            tls = _tls(ca_file, cert_file, key_file)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Invalid(f"ca_file, cert_file, key_file: {reason}") from None
    return Options(base_url=_checked(url), token=Secret(text) if text else None, tls=tls)


def _tls(
    ca_file: str | Path | None, cert_file: str | Path | None, key_file: str | Path | None
) -> ssl.SSLContext:
    tls = (
        httpx.create_ssl_context()
        if ca_file is None
        else ssl.create_default_context(cafile=ca_file)
    )
    if cert_file is not None:
        tls.load_cert_chain(cert_file, key_file)
    return tls


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise Invalid("base URL: it must be http://host:port or https://host:port")
    try:
        parsed.raw_host.decode().encode("idna")  # as the resolver will
    except UnicodeError:
        raise Invalid("base URL: each part of the host's name must have 1 to 63 bytes") from None
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise Invalid("base URL: no user, no query; the token is an argument of its own")
    return url.rstrip("/")


class Endpoint(Generic[Http]):
    """A service, and connections to it."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        deadline: float = DEADLINE_SECONDS,
        try_timeout: float = TRY_SECONDS,
        ca_file: str | Path | None = None,
        cert_file: str | Path | None = None,
        key_file: str | Path | None = None,
        http: Http | None = None,
    ) -> None:
        """``deadline``: seconds that an operation may take with all its tries.

        ``try_timeout``: seconds for each of them. Without ``base_url`` and ``token`` they are
        those of the environment: TALLYKV_URL, TALLYKV_TOKEN. ``ca_file``: whose certificates to
        trust; ``cert_file`` and ``key_file``: the client's own. ``http``: what to send with
        instead of an own client of httpx; it stays open. Raises Invalid.
        """
        self._options = read_options(base_url, token, ca_file, cert_file, key_file)
        self._policy = make_policy(deadline, try_timeout)
        self._operations = Operations(self._policy)
        self._is_owner = http is None
        self._http: Http = self._opened() if http is None else http

    def _open(self, options: Options) -> Http:
        raise NotImplementedError

    def _opened(self) -> Http:
        """Open with what httpx takes from the environment. Raises Invalid."""
        try:
            return self._open(self._options)
        except ImportError as error:  # of a SOCKS proxy
            raise Invalid(f"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY: {error}") from None
        except OSError as error:
            raise Invalid(f"SSL_CERT_FILE, SSL_CERT_DIR: {error.strerror or error}") from None
        except (ValueError, httpx.InvalidURL):  # whose message may hold a password
            raise Invalid(
                "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY: one is no URL of a proxy that can be used"
            ) from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._options.base_url!r})"

    def within(self, deadline: float) -> Self:
        """Return a client with another deadline over the same connections; math.inf: none."""
        other = copy.copy(self)
        policy = self._policy.within(deadline)
        vars(other).update(_is_owner=False, _policy=policy, _operations=Operations(policy))
        return other

    def _build(self, request: Request, timeout: httpx.Timeout) -> httpx.Request:
        return self._options.build(request, timeout)

    def _no_answer(self, error: Exception) -> NoAnswer:
        return no_answer(error, self._options.base_url)


def make_policy(deadline_seconds: float, try_seconds: float) -> Policy:
    return Policy(
        deadline_seconds, try_seconds, time.monotonic, random.random, lambda: secrets.token_hex(16)
    )


def timeout_of(seconds: float, silence_seconds: float | None = None) -> httpx.Timeout:
    """Return the timeouts of one try; ``silence_seconds`` between the parts of its answer."""
    # Shorter than the whole: what fails while it connects was surely not sent.
    connect = min(seconds / 2, CONNECT_SECONDS)
    read = seconds if silence_seconds is None else silence_seconds
    return httpx.Timeout(connect=connect, read=read, write=seconds, pool=connect)


def answer_of(response: httpx.Response, body: bytes) -> Answer:
    return Answer(response.status_code, dict(response.headers), body)


def kind_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.headers.get("content-type", "")


def no_answer(error: Exception, base_url: str) -> NoAnswer:
    """Return what an error of httpx means for the request. Raises Invalid if it can't be sent."""
    # Only these are raised before the first byte is sent.
    unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
    if isinstance(error, httpx.LocalProtocolError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        raise Invalid(f"the request can't be sent: {error}") from None
    why = _reason(error)
    if isinstance(error, unsent):
        return NoAnswer(
            f"{base_url} can't be reached: {why}",
            was_sent=False,
            is_final=isinstance(_cause(error), ssl.SSLError),
        )
    return NoAnswer(f"{base_url} gave no answer: {why}", was_sent=True)


def _cause(error: BaseException) -> BaseException:
    """Return what an error of httpx comes from: the system's error, or TLS's."""
    found = error
    while (inner := found.__cause__ or found.__context__) is not None:
        found = inner
        if isinstance(found, ssl.SSLError):
            break
    return found


def _reason(error: Exception) -> str:
    cause = _cause(error)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "timeout"
    if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
        return os.strerror(cause.errno).lower() if cause.errno > 0 else str(cause.strerror)
    return str(error) or type(error).__name__
