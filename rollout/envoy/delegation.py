"""VirtualServices that delegate routes to others, merged as istiod does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ..manifests.destinations import Destination
from ..manifests.hosts import expand_host
from ..manifests.http_match import HttpMatch
from ..manifests.http_route import HttpRoute
from ..manifests.string_match import Exact, Prefix, ValueMatch
from ..manifests.virtual_service import VirtualService
from .proxy import exported

#: Fields that a delegate's route takes from the delegating one if it has none.
_INHERITED: Final = (
    "rewrite",
    "direct_response",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirror_percent",
    "mirror_percentage",
    "mirrors",
    "cors_policy",
    "headers",
)
_STRINGS: Final = ("uri", "scheme", "method", "authority")
_MAPPINGS: Final = ("headers", "without_headers", "query_params")
_CALLER: Final = ("port", "source_namespace", "gateways")


def without_delegates(services: Sequence[VirtualService]) -> list[VirtualService]:
    """Return the VirtualServices with hosts, with the routes of their delegates in place.

    A route whose delegate does not exist, or is not exported to the namespace, is left out.
    """
    delegates = {(each.namespace, each.name): each for each in services if not each.spec.hosts}
    return [
        _merged(each, delegates) if any(route.delegate for route in each.spec.http) else each
        for each in services
        if each.spec.hosts
    ]


def _merged(
    root: VirtualService, delegates: Mapping[tuple[str, str], VirtualService]
) -> VirtualService:
    routes: list[HttpRoute] = []
    for route in root.spec.http:
        if route.delegate is None:
            routes.append(route)
            continue
        namespace = route.delegate.namespace or root.namespace
        found = delegates.get((namespace, route.delegate.name or ""))
        if found and exported(found.spec.export_to, found.namespace, root.namespace):
            routes += _delegated(route, found)
    return root.model_copy(update={"spec": root.spec.model_copy(update={"http": tuple(routes)})})


def _delegated(root: HttpRoute, delegate: VirtualService) -> Iterator[HttpRoute]:
    for route in delegate.spec.http:
        matches = _merge_matches(root.match, route.match)
        if matches is None:
            continue
        fields: dict[str, Any] = {
            name: getattr(root, name) for name in _INHERITED if getattr(route, name) in (None, ())
        }
        fields |= {"match": matches, "name": _joined(root.name, route.name)}
        # The hosts of the delegate's own destinations belong to its namespace.
        yield _with_full_hosts(route, delegate.namespace).model_copy(update=fields)


def _with_full_hosts(route: HttpRoute, namespace: str) -> HttpRoute:
    def full(destination: Destination) -> Destination:
        host = expand_host(destination.host, namespace)
        return destination.model_copy(update={"host": host})

    return route.model_copy(
        update={
            "route": tuple(
                each.model_copy(update={"destination": full(each.destination)})
                for each in route.route
            ),
            "mirror": route.mirror and full(route.mirror),
            "mirrors": tuple(
                each.model_copy(update={"destination": full(each.destination)})
                for each in route.mirrors
            ),
        }
    )


def _joined(root: str | None, name: str | None) -> str | None:
    return f"{root}-{name}" if root and name else name or root


def _merge_matches(
    root: tuple[HttpMatch, ...], delegate: tuple[HttpMatch, ...]
) -> tuple[HttpMatch, ...] | None:
    """Return each delegate's match narrowed by each root's, None if one of them has no overlap."""
    if not root or not delegate:
        return delegate or root
    found = []
    for match in delegate:
        narrowed = [_merge_match(each, match) for each in root if not _conflict(each, match)]
        if not narrowed:
            return None
        found += narrowed
    return tuple(found)


def _merge_match(root: HttpMatch, delegate: HttpMatch) -> HttpMatch:
    fields: dict[str, Any] = {
        name: getattr(delegate, name) or getattr(root, name) for name in (*_STRINGS, *_CALLER)
    }
    fields |= {
        name: {**getattr(root, name), **getattr(delegate, name)}
        for name in (*_MAPPINGS, "source_labels")
    }
    return delegate.model_copy(update={**fields, "name": _joined(root.name, delegate.name)})


def _conflict(root: HttpMatch, delegate: HttpMatch) -> bool:
    pairs: Iterable[tuple[ValueMatch | None, ValueMatch | None]] = (
        *((getattr(root, name), getattr(delegate, name)) for name in _STRINGS),
        *(
            (getattr(root, name).get(key), each)
            for name in _MAPPINGS
            for key, each in getattr(delegate, name).items()
        ),
    )
    namespace, labels = root.source_namespace, root.source_labels
    return (
        any(_excludes(one, other) for one, other in pairs)
        or root.ignore_uri_case != delegate.ignore_uri_case
        or bool(root.port and delegate.port and root.port != delegate.port)
        or bool(namespace and namespace != delegate.source_namespace)
        or any(labels.get(key, each) != each for key, each in delegate.source_labels.items())
        or bool(root.gateways and not set(delegate.gateways) <= set(root.gateways))
    )


def _excludes(root: ValueMatch | None, delegate: ValueMatch | None) -> bool:
    """Return True unless the delegate's match is surely within the root's; None matches all."""
    match root, delegate:
        case (None, _) | (_, None):
            return False
        case Exact(one), Exact(other):
            return one != other
        case Prefix(one), Prefix(other) | Exact(other):
            return not other.startswith(one)
        case _:
            return True
