"""Header manipulation of a route; a change of the Host becomes a rewrite of the authority."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.header_operations import HeaderOperations, Headers

_HOST: Final = frozenset({":authority", "host"})


@dataclass(frozen=True, slots=True)
class HeaderMutations:
    """Changes of headers.

    ``fields`` are fields of an Envoy route or weighted cluster. ``authority`` is the request's new
    Host, None for no change.
    """

    fields: Mapping[str, list[Any]]
    authority: str | None = None

    def then(self, later: HeaderMutations) -> HeaderMutations:
        """Return these changes followed by others; the first authority counts."""
        names = [*self.fields, *(name for name in later.fields if name not in self.fields)]
        fields = {name: [*self.fields.get(name, []), *later.fields.get(name, [])] for name in names}
        return HeaderMutations(fields, self.authority or later.authority)


def header_mutations(headers: Headers | None) -> HeaderMutations:
    """Translate header operations; drop pseudo-headers, which Envoy does not let change."""
    request = (headers and headers.request) or HeaderOperations()
    response = (headers and headers.response) or HeaderOperations()
    fields: dict[str, list[Any]] = {
        "request_headers_to_add": _added(request),
        "request_headers_to_remove": _regular(request.remove),
        "response_headers_to_add": _added(response),
        "response_headers_to_remove": _regular(response.remove),
    }
    return HeaderMutations(
        {name: values for name, values in fields.items() if values},
        _authority(request.set) or _authority(request.add),
    )


def _added(operations: HeaderOperations) -> list[dict[str, Any]]:
    return [
        *_options(operations.set, "OVERWRITE_IF_EXISTS_OR_ADD"),
        *_options(operations.add, "APPEND_IF_EXISTS_OR_ADD"),
    ]


def _options(headers: Mapping[str, str], action: str) -> Iterable[dict[str, Any]]:
    for name in _regular(sorted(headers)):
        yield {"header": {"key": name, "value": headers[name]}, "append_action": action}


def _regular(names: Iterable[str]) -> list[str]:
    """Return the names that are neither pseudo-headers nor Host."""
    return [name for name in names if not name.startswith(":") and name.lower() != "host"]


def _authority(headers: Mapping[str, str]) -> str | None:
    return next((value for name, value in headers.items() if name.lower() in _HOST), None)
