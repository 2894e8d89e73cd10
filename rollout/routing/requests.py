"""A request and who sends it, as a person writes them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..envoy.proxy import Proxy

_URL: Final = re.compile(
    r"(?:(?P<method>[A-Z]+) +)?(?:(?P<scheme>https?)://)?"
    r"(?P<host>[^/:\s?#]+)(?::(?P<port>\d{1,5}))?(?P<path>/[^\s#]*)?"
)


class RequestInvalid(ValueError):
    """A text is no request; the message says what it should be."""


@dataclass(frozen=True, slots=True)
class Request:
    """``path`` has the query, too. Without a port, it is the caller's usual one for the scheme."""

    method: str = "GET"
    host: str = ""
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    port: int | None = None
    tls: bool = False

    @classmethod
    def parse(cls, text: str, headers: tuple[tuple[str, str], ...] = ()) -> Request:
        """Parse ``GET kv.example.com/v1/kv/x`` or a URL; raise RequestInvalid."""
        found = _URL.fullmatch(text.strip())
        if found is None:
            raise RequestInvalid(
                f'"{text}" is no request: write it as GET kv.example.com/path or as a URL'
            )
        port = int(found["port"]) if found["port"] else None
        return cls(
            found["method"] or "GET",
            found["host"],
            found["path"] or "/",
            headers,
            port,
            found["scheme"] == "https",
        )

    @property
    def path_only(self) -> str:
        """Return the path without the query."""
        return self.path.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """Return the parameters as they are written: Envoy compares them without decoding."""
        _, _, text = self.path.partition("?")
        pairs = (each.partition("=") for each in text.split("&") if each)
        return [(name, value) for name, _, value in pairs]

    @property
    def authority(self) -> str:
        """Return the Host header."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def values(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def url(self) -> str:
        """Return the method and the URL, without ``http://``."""
        return f"{self.method} {'https://' if self.tls else ''}{self.authority}{self.path}"

    def __str__(self) -> str:
        """Return one line for a person to read."""
        named = ", ".join(f"{name}: {value}" for name, value in self.headers)
        return f"{self.url}{f' with header {named}' if named else ''}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: a pod inside the mesh, or someone outside who reaches a gateway.

    Without a namespace it is someone outside; ``gateway`` is the Gateway that is asked, as
    ``namespace/name``, empty for the one that has the port and the host.
    """

    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    account: str = "default"
    gateway: str = ""

    @property
    def is_inside(self) -> bool:
        return bool(self.namespace)

    @property
    def sidecar(self) -> Proxy:
        """Return the proxy of a pod inside the mesh."""
        return Proxy.sidecar(self.namespace, dict(self.labels), self.account)

    def __str__(self) -> str:
        """Return the caller as a test file names it."""
        if not self.is_inside:
            return f"gateway {self.gateway}" if self.gateway else "ingress"
        account = "" if self.account == "default" else f"/{self.account}"
        labels = ",".join(f"{name}={value}" for name, value in self.labels)
        return f"{self.namespace}{account}{f' ({labels})' if labels else ''}"


INGRESS: Final = Caller()
