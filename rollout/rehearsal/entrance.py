"""Where the clients of a rehearsal send their requests, and what they must trust."""

from __future__ import annotations

import ssl
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..envoy.configuration import Address, CertificateFiles
from .ingress import Ingress
from .loopback import LOOPBACK, url_of


class Trust(NamedTuple):
    """The file of a certificate, and a context of clients that trust only it."""

    file: str
    context: ssl.SSLContext

    @classmethod
    def of(cls, file: str) -> Trust:
        return cls(file, ssl.create_default_context(cafile=file))


@dataclass(frozen=True, slots=True)
class Entrance:
    """A listener's URL, and the Host header that leads to the routes; ``trust`` is for https."""

    url: str
    host: str
    trust: Trust | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Host": self.host}

    @property
    def tls(self) -> Mapping[str, Any]:
        """Return the arguments of aiohttp's requests: whom to trust, and the name to ask for."""
        if self.trust is None:
            return {}
        return {"ssl": self.trust.context, "server_hostname": self.host}

    @property
    def curl(self) -> str:
        """Return a command that sends a request."""
        if self.trust is None:
            return f"curl -H 'Host: {self.host}' {self.url}/"
        address = f"{self.host}:{self.url.rpartition(':')[2]}"
        return f"curl --cacert {self.trust.file} --resolve {address}:{LOOPBACK} https://{address}/"


def entrances_of(
    ingresses: Iterable[Ingress],
    listeners: Mapping[int, Address],
    encrypted: Container[int],
    certificate: CertificateFiles | None,
) -> tuple[Entrance, ...]:
    """Return the entrances; ``encrypted`` ports speak TLS if there is a certificate.

    A caller inside the mesh has one listener for all ports.
    """
    trust = Trust.of(certificate.chain) if certificate else None
    first = next(iter(listeners.values()))
    return tuple(
        Entrance(
            url_of(
                listeners.get(each.port, first),
                secure=trust is not None and each.port in encrypted,
            ),
            each.host,
            trust if each.port in encrypted else None,
        )
        for each in ingresses
    )
