"""Matches on claims of a verified token, in place of headers: ``@request.auth.claims.group``.

The filter for tokens chooses the route anew after it has verified one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ..manifests.http_match import HttpMatch, is_jwt_claim
from ..manifests.string_match import Present, ValueMatch
from .authorization_matchers import PAYLOAD, TOKENS
from .configuration import Resource
from .protobuf_json import string_match

_NAMES: Final = re.compile(r"\[([^\[\]]+)\]")
_PREFIX: Final = "@request.auth.claims"


def claim_match(match: HttpMatch) -> dict[str, Any]:
    """Return the field of a RouteMatch, or nothing without claims."""
    found = [
        *_matchers(match.headers),
        *({**each, "invert": True} for each in _matchers(match.without_headers)),
    ]
    return {"dynamic_metadata": found} if found else {}


def _matchers(headers: dict[str, ValueMatch]) -> Iterator[Resource]:
    for name, match in sorted(headers.items()):
        if is_jwt_claim(name):
            path = [PAYLOAD, *_keys(name)]
            yield {
                "filter": TOKENS,
                "path": [{"key": each} for each in path],
                "value": _value(match),
            }


def _keys(name: str) -> list[str]:
    """Return the names that lead to a claim: ``.a.b`` or ``[a][b]``."""
    rest = name[len(_PREFIX) :]
    return _NAMES.findall(rest) if rest.startswith("[") else rest[1:].split(".")


def _value(match: ValueMatch) -> Resource:
    """Return what matches a value, or one of a list."""
    if isinstance(match, Present):
        return {"present_match": True}
    one = {"string_match": string_match(match)}
    return {"or_match": {"value_matchers": [{"list_match": {"one_of": one}}, one]}}
