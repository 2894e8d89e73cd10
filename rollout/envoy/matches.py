"""Which requests a route is for: a VirtualService's match as Envoy's."""

from __future__ import annotations

from typing import Any, Final, assert_never

from ..manifests.http_match import HttpMatch
from ..manifests.string_match import Exact, Prefix, Present, Regex, StringMatch, ValueMatch
from .configuration import Resource
from .protobuf import string_match

_ANY_PATH: Final = {"prefix": "/"}


def route_match(match: HttpMatch | None) -> dict[str, Any]:
    """Return Envoy's match; None stands for every request.

    A path is matched without its query. Envoy ignores case in an exact path and in a prefix, but
    not in a regular expression, whatever ``ignoreUriCase`` says.
    """
    if match is None:
        return {**_ANY_PATH}
    headers = [
        *sorted(
            (
                *(_header(name, value) for name, value in match.headers.items()),
                *(_absent(name, value) for name, value in match.without_headers.items()),
            ),
            key=lambda each: str(each["name"]),
        ),
        *(
            _header(name, value)
            for name, value in (
                (":method", match.method),
                (":authority", match.authority),
                (":scheme", match.scheme),
            )
            if value is not None
        ),
    ]
    parameters = [_named(name, value) for name, value in sorted(match.query_params.items())]
    return {
        **(_ANY_PATH if match.uri is None else _path(match.uri)),
        "case_sensitive": not match.ignore_uri_case,
        **({"headers": headers} if headers else {}),
        **({"query_parameters": parameters} if parameters else {}),
    }


def is_catch_all(match: Resource) -> bool:
    """Tell whether istiod takes an Envoy match for one that leaves nothing to later routes."""
    everywhere = match.get("prefix") == "/" or match.get("safe_regex") == {"regex": ".*"}
    return everywhere and not match.get("headers") and not match.get("query_parameters")


def _path(match: StringMatch) -> dict[str, Any]:
    match match:
        case Exact(value):
            return {"path": value}
        case Prefix(value):
            return {"prefix": value}
        case Regex(pattern):
            return {"safe_regex": {"regex": pattern}}
        case _:
            assert_never(match)


def _named(name: str, match: ValueMatch) -> dict[str, Any]:
    if isinstance(match, Present):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_match(match)}


_header = _named


def _absent(name: str, match: ValueMatch) -> dict[str, Any]:
    inverted = {**_header(name, match), "invert_match": True}
    if not isinstance(match, Present):
        # Else a request without the header would not fit; Envoy takes this only beside a text.
        inverted["treat_missing_header_as_empty"] = True
    return inverted
