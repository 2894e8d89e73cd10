"""Headers that a route sets, adds and removes; the host among them is rewritten instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.http_route import HeaderOperations, Headers

_HOST: Final = frozenset({":authority", "host"})


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """What becomes of headers; ``authority`` is the host that the request gets, None if it stays.

    ``fields`` are those of a route and of a weighted cluster alike.
    """

    fields: Mapping[str, list[Any]]
    authority: str | None = None

    def then(self, later: HeaderChanges) -> HeaderChanges:
        """Return these changes with others after them; the host that was said first stays."""
        names = [*self.fields, *(name for name in later.fields if name not in self.fields)]
        fields = {name: [*self.fields.get(name, []), *later.fields.get(name, [])] for name in names}
        return HeaderChanges(fields, self.authority or later.authority)


def header_changes(headers: Headers | None) -> HeaderChanges:
    """Translate the operations; names with a colon in front can't be changed and are dropped."""
    request = (headers and headers.request) or HeaderOperations()
    response = (headers and headers.response) or HeaderOperations()
    fields: dict[str, list[Any]] = {
        "request_headers_to_add": _added(request),
        "request_headers_to_remove": _plain(request.remove),
        "response_headers_to_add": _added(response),
        "response_headers_to_remove": _plain(response.remove),
    }
    return HeaderChanges(
        {name: values for name, values in fields.items() if values},
        _authority(request.set) or _authority(request.add),
    )


def _added(operations: HeaderOperations) -> list[dict[str, Any]]:
    return [
        *_options(operations.set, "OVERWRITE_IF_EXISTS_OR_ADD"),
        *_options(operations.add, "APPEND_IF_EXISTS_OR_ADD"),
    ]


def _options(headers: Mapping[str, str], action: str) -> Iterable[dict[str, Any]]:
    for name in _plain(sorted(headers)):
        yield {"header": {"key": name, "value": headers[name]}, "append_action": action}


def _plain(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(":") and name.lower() != "host"]


def _authority(headers: Mapping[str, str]) -> str | None:
    return next((value for name, value in headers.items() if name.lower() in _HOST), None)
