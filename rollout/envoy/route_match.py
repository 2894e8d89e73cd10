"""A VirtualService's match conditions as Envoy's RouteMatch."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.http_match import HttpMatch, is_jwt_claim
from ..manifests.string_match import Prefix, Present, StringMatch, ValueMatch
from .claim_match import claim_match
from .configuration import Resource
from .protobuf_json import string_match

_ANY_PATH: Final = {"prefix": "/"}


def route_match(match: HttpMatch | None, *, by_segments: bool = False) -> dict[str, Any]:
    """Return Envoy's match; None matches every request.

    With ``by_segments`` a prefix ends where a segment of the path ends. The path is matched without
    the query. ``ignoreUriCase`` applies to exact paths and prefixes;
    Envoy ignores it for regexes.
    """
    if match is None:
        return {**_ANY_PATH}
    headers = [
        *sorted(
            (
                *(
                    _named(name, value)
                    for name, value in match.headers.items()
                    if not is_jwt_claim(name)
                ),
                *(
                    _inverted(name, value)
                    for name, value in match.without_headers.items()
                    if not is_jwt_claim(name)
                ),
            ),
            key=lambda each: str(each["name"]),
        ),
        *(
            _named(name, value)
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
        **(_ANY_PATH if match.uri is None else _path(match.uri, by_segments=by_segments)),
        "case_sensitive": not match.ignore_uri_case,
        **({"headers": headers} if headers else {}),
        **({"query_parameters": parameters} if parameters else {}),
        **claim_match(match),
    }


def is_catch_all(match: Resource) -> bool:
    """Return True if istiod considers an Envoy match to match every request."""
    any_path = match.get("prefix") == "/" or match.get("safe_regex") == {"regex": ".*"}
    conditions = ("headers", "query_parameters", "dynamic_metadata")
    return any_path and not any(match.get(each) for each in conditions)


def _path(match: StringMatch, *, by_segments: bool) -> dict[str, Any]:
    if by_segments and isinstance(match, Prefix) and match.value != "/":
        return {"path_separated_prefix": match.value.removesuffix("/")}
    [(kind, value)] = string_match(match).items()
    return {"path" if kind == "exact" else kind: value}


def _named(name: str, match: ValueMatch) -> dict[str, Any]:
    """Return a HeaderMatcher or QueryParameterMatcher: they have the same fields."""
    if isinstance(match, Present):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_match(match)}


def _inverted(name: str, match: ValueMatch) -> dict[str, Any]:
    inverted = {**_named(name, match), "invert_match": True}
    if not isinstance(match, Present):
        # Otherwise a request without the header would not match. Envoy accepts this field only
        # together with string_match.
        inverted["treat_missing_header_as_empty"] = True
    return inverted
