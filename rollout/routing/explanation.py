"""Says which rule of which object takes a request, and why those before it do not. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..envoy.configuration import Resource
from .evaluation import refusals
from .origins import Origins
from .requests import Request
from .view import View


def explain(view: View, request: Request) -> list[str]:
    """Return lines for a person to read."""
    table = view.table(request)
    if table is None:
        port = view.port_of(request)
        if port is None:
            return ["no Gateway of this caller listens at the port"]
        return ["no server of the Gateway has the host, so the connection is refused"]
    host = view.host(request)
    if host is None:
        return [f"no VirtualService, HTTPRoute or Service has the host {request.authority}: 404"]
    return [f"host {', '.join(host['domains'][:4])}", *_routes(view, request, host)]


def _routes(view: View, request: Request, host: Resource) -> Iterator[str]:
    tls = view.is_encrypted(request)
    for route in host["routes"]:
        title = origin_text(view.origins, route)
        why = [*refusals(route["match"], request, tls=tls)]
        if not why:
            yield f"  takes it: {title}"
            return
        yield f"  not {title}: {'; '.join(why)}"
    yield "  no rule takes it: 404"


def origin_text(origins: Origins, route: Resource) -> str:
    """Return where a route comes from, for a person to read."""
    name = route.get("name", "")
    found = origins.find(name)
    if not found:
        return f"the route that Istio adds ({name})" if name else "a route without a name"
    first, *others = found
    return f"{first}{f', which {others[0]} delegates to' if others else ''}"
