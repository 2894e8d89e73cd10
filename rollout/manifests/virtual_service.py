"""VirtualService: the routes of hosts, at gateways and inside the mesh.

https://istio.io/latest/docs/reference/config/networking/virtual-service/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import model_validator

from .field_errors import Reason, field_error
from .field_types import ExportTo
from .hosts import covers_host, overlap
from .http_match import HttpMatch
from .http_route import HttpRoute
from .json_path import PathSegments
from .l4_routes import TcpRoute, TlsRoute
from .metadata import IstioObject
from .names import GatewayName, VirtualHost
from .not_modelled import NotModelled
from .strict_model import StrictModel
from .string_match import Regex

#: The name in ``gateways`` for all sidecars. It is the default.
MESH: Final = "mesh"
_MATCHES: Final = ("uri", "scheme", "method", "authority")
_MATCH_MAPS: Final = ("headers", "without_headers", "query_params")


class VirtualServiceSpec(StrictModel):
    """Without hosts it is a delegate: other VirtualServices include its routes by its name."""

    hosts: tuple[VirtualHost, ...] = ()
    http: tuple[HttpRoute, ...] = ()
    gateways: tuple[GatewayName, ...] = ()
    export_to: ExportTo = ("*",)
    tcp: Annotated[
        tuple[TcpRoute, ...],
        NotModelled("routes for TCP", "they aren't checked", changes_requests=False),
    ] = ()
    tls: Annotated[
        tuple[TlsRoute, ...],
        NotModelled("routes by SNI", "they aren't checked", changes_requests=False),
    ] = ()

    @property
    def is_delegate(self) -> bool:
        return not self.hosts

    @property
    def for_mesh(self) -> bool:
        """Return True if the routes apply in the mesh, too."""
        return not self.gateways or MESH in self.gateways

    @model_validator(mode="after")
    def _check_kind(self) -> VirtualServiceSpec:
        if not (self.http or self.tcp or self.tls):
            raise field_error(
                Reason.MISSING_FIELD, "there are no routes", "add http, tcp or tls", ("http",)
            )
        for name in ("gateways", "tcp", "tls") if self.is_delegate else ():
            if getattr(self, name):
                raise field_error(
                    Reason.MISSING_FIELD,
                    f"without hosts this is a delegate, and a delegate has no {name}",
                    f"add hosts, or remove {name}",
                    ("hosts",),
                )
        return self

    @model_validator(mode="after")
    def _check_hosts(self) -> VirtualServiceSpec:
        for index, host in enumerate(self.hosts):
            if twice := next((it for it in self.hosts[index + 1 :] if overlap(host, it)), None):
                raise field_error(
                    Reason.BAD_VALUE,
                    f"the hosts {host} and {twice} overlap",
                    "keep the wider one",
                    ("hosts",),
                )
        for index, route in enumerate(self.tls):
            for number, match in enumerate(route.match):
                for sni in match.sni_hosts:
                    if not any(covers_host(host, sni) for host in self.hosts):
                        raise field_error(
                            Reason.BAD_VALUE,
                            f'no host of the VirtualService covers "{sni}"',
                            "add it to hosts, or correct it",
                            ("tls", index, "match", number, "sniHosts"),
                        )
        return self

    @model_validator(mode="after")
    def _check_matches(self) -> VirtualServiceSpec:
        for at, route, match in self._matches():
            if match.jwt_claims and self.for_mesh:
                raise field_error(
                    Reason.BAD_VALUE,
                    "only gateways route by claims of a JWT",
                    "name gateways other than mesh, or match a header",
                    (*at, "headers"),
                )
            for name in _MATCHES if self.is_delegate or route.delegate else ():
                if isinstance(getattr(match, name), Regex):
                    raise _regex_error((*at, name))
            for name in _MATCH_MAPS if self.is_delegate or route.delegate else ():
                if any(isinstance(each, Regex) for each in getattr(match, name).values()):
                    raise _regex_error(at)
        if self.is_delegate:
            for index, route in enumerate(self.http):
                if route.delegate:
                    raise field_error(
                        Reason.BAD_VALUE,
                        "a delegate can't delegate",
                        "write the routes here",
                        ("http", index, "delegate"),
                    )
        return self

    def _matches(self) -> Iterator[tuple[PathSegments, HttpRoute, HttpMatch]]:
        for index, route in enumerate(self.http):
            for number, match in enumerate(route.match):
                yield ("http", index, "match", number), route, match


def _regex_error(at: PathSegments) -> Exception:
    return field_error(
        Reason.BAD_VALUE,
        "Istio accepts no regular expression in a route that delegates, nor in a delegate",
        "match exactly or by prefix",
        at,
    )


class VirtualService(IstioObject):
    spec: VirtualServiceSpec

    @property
    def gateways(self) -> tuple[str, ...]:
        """Return ``mesh`` and the Gateways as ``namespace/name``; a delegate has none."""
        named = tuple(self.qualify(each) for each in self.spec.gateways)
        return named or (() if self.spec.is_delegate else (MESH,))

    def qualify(self, gateway: str) -> str:
        """Return a Gateway as ``namespace/name``, and ``mesh`` as it is."""
        if gateway == MESH:
            return MESH
        namespace, slash, name = gateway.rpartition("/")
        if not slash and "." in name:
            # An old form that Istio still reads: name.namespace.svc.cluster.local
            name, namespace, *_ = name.split(".")
        return f"{self.namespace if namespace in {'', '.'} else namespace}/{name}"
