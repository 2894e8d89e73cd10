"""The objects under test, and what each caller's proxy is programmed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ..envoy.proxy import Proxy
from ..manifests.parsing import is_modelled, parse_manifest
from ..manifests.semantics import made_of
from ..rehearsal.applied_manifests import kind_of, read_applied_manifests, title_of
from ..rehearsal.ingress import gateway_proxy
from ..rehearsal.policy_notes import policy_fields
from ..routing.assumptions import with_assumptions
from ..routing.origins import with_origins
from ..routing.requests import Caller, Request
from ..routing.tokens import with_test_keys
from ..routing.view import View, build_view
from .addresses import new_address

Document = Mapping[str, Any]
_PATCHES: Final = frozenset({"EnvoyFilter", "WasmPlugin", "TrafficExtension"})


@dataclass(frozen=True, slots=True)
class NotModelled:
    """What of the objects is not imitated, and can change what happens to requests.

    ``content`` is what is written there, to see whether it changes.
    """

    title: str
    path: str
    why: str
    content: Any

    def __str__(self) -> str:
        """Return one line for a person to read."""
        return f"{self.title}{f' {self.path}' if self.path else ''}: {self.why}"


class Mesh:
    """Objects with everything that routes name; raise ManifestsInvalid if Istio refuses some."""

    def __init__(
        self, documents: Iterable[Document], issuers: Iterable[str] = (), jwks: str = ""
    ) -> None:
        applied = read_applied_manifests(documents)
        self.documents = applied.documents
        complete, self.assumptions = with_assumptions(applied.objects)
        self.objects, self.origins = with_origins(with_test_keys(complete, issuers, jwks))
        self._views: dict[object, View] = {}

    @cached_property
    def gateways(self) -> dict[str, Proxy]:
        """The proxies that Gateways select, each by its first Gateway, ``namespace/name``."""
        found: dict[str, Proxy] = {}
        known: list[Proxy] = []
        for each in self.objects.gateways:
            proxy = gateway_proxy(self.objects, each)
            if proxy not in known:
                known.append(proxy)
                found[f"{each.namespace}/{each.name}"] = proxy
        return found

    def view(self, proxy: Proxy) -> View:
        """Return what a proxy is programmed with."""
        key = (
            proxy.kind,
            proxy.namespace,
            tuple(sorted(proxy.labels.items())),
            proxy.service_account,
        )
        if key not in self._views:
            self._views[key] = build_view(self.objects, self.origins, proxy, new_address)
        return self._views[key]

    def view_of(self, caller: Caller, request: Request) -> View | None:
        """Return the view of the proxy that a caller's request meets; None without a gateway.

        From outside it is the gateway that has the request's host at its port, else the port.
        """
        if caller.is_inside:
            return self.view(caller.sidecar)
        if caller.gateway:
            namespace, _, name = caller.gateway.rpartition("/")
            for gateway in self.objects.gateways:
                own = (gateway.namespace, gateway.name) == (namespace, name)
                if own or made_of(gateway, "Gateway", namespace, name):
                    return self.view(gateway_proxy(self.objects, gateway))
            return None
        views = [self.view(each) for each in self.gateways.values()]
        for fits in (View.host, View.port_of):
            for each in views:
                if fits(each, request) is not None:
                    return each
        return views[0] if views else None

    @cached_property
    def not_modelled(self) -> tuple[NotModelled, ...]:
        """What is not imitated and can change what happens to requests."""
        found: list[NotModelled] = []
        for document in self.documents:
            if not is_modelled(*kind_of(document)):
                continue
            parsed = parse_manifest(document)
            fields = [
                (each.path, str(each))
                for each in parsed.not_modelled
                if each.marker.changes_requests
            ]
            if document["kind"] == "AuthorizationPolicy":
                fields += policy_fields(parsed.manifest)
            title, spec = title_of(document), document.get("spec")
            found += [NotModelled(title, path, why, spec) for path, why in fields]
        return tuple(found)
