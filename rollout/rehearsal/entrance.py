"""Where the clients of a rehearsal send their requests, and what they must trust."""

from __future__ import annotations

import shlex
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..envoy.configuration import CertificateFiles
from .ingress import Ingress
from .local_mesh import LocalMesh
from .loopback import LOOPBACK, url_of


class Trust(NamedTuple):
    """The file of the gateway's certificates, and a context of clients that trust only these.

    ``client`` is the certificate that clients show if they are asked for one.
    """

    file: str
    context: ssl.SSLContext
    client: CertificateFiles | None = None

    @classmethod
    def of(cls, file: str, client: CertificateFiles | None = None) -> Trust:
        context = ssl.create_default_context(cafile=file)
        if client:
            context.load_cert_chain(client.chain, client.key)
        return cls(file, context, client)


@dataclass(frozen=True, slots=True)
class Entrance:
    """A listener's URL, and the Host header that leads to the routes.

    ``trust`` is for https; every request has the ``more`` headers, too.
    """

    url: str
    host: str
    trust: Trust | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> Mapping[str, str]:
        return {**self.more, "Host": self.host}

    @property
    def tls(self) -> Mapping[str, Any]:
        """Return the arguments of aiohttp's requests: whom to trust, and the name to ask for."""
        if self.trust is None:
            return {}
        return {"ssl": self.trust.context, "server_hostname": self.host}

    @property
    def curl(self) -> str:
        """Return a command that sends a request."""
        more = "".join(f" -H {shlex.quote(f'{key}: {each}')}" for key, each in self.more.items())
        if self.trust is None:
            return f"curl -H 'Host: {self.host}'{more} {self.url}/"
        address = f"{self.host}:{self.url.rpartition(':')[2]}"
        shown = self.trust.client
        client = f" --cert {shown.chain} --key {shown.key}" if shown else ""
        trust = f"--cacert {self.trust.file}{client}"
        return f"curl {trust}{more} --resolve {address}:{LOOPBACK} https://{address}/"


def entrances_of(
    ingresses: Iterable[Ingress], mesh: LocalMesh, headers: Mapping[str, str]
) -> tuple[Entrance, ...]:
    """Return the entrances; a caller inside the mesh has one listener for all ports."""
    found = mesh.certificates
    trust = Trust.of(found.gateway, found.client) if found.gateway else None
    first = next(iter(mesh.listeners.values()))
    return tuple(
        Entrance(
            url_of(mesh.listeners.get(each.port, first), secure=each.port in mesh.encrypted),
            each.host,
            trust if each.port in mesh.encrypted else None,
            headers,
        )
        for each in ingresses
    )
