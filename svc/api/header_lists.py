"""Headers whose value is a list (RFC 9110 §5.6.1): all lines count, empty elements do not."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import hdrs, web
from multidict import istr

from ..domain.errors import ContentCodingUnsupported, HeaderInvalid

PREFER: Final = istr("Prefer")

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
#: A comma inside a quoted string ends no element. A string without its closing quote goes on to
#: the end, so that the pattern matches in linear time.
_ELEMENT: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
_PREFERENCE: Final = re.compile(rf"({_WORD})(?:\s*=\s*({_WORD}|{_QUOTED}))?\s*(?:;.*)?", re.DOTALL)
_WEIGHT: Final = re.compile(r";\s*q\s*=\s*([0-9.]+)\s*(?:;|$)", re.IGNORECASE)


def list_elements(request: web.Request, name: str) -> list[str]:
    """Return the elements of all lines of a list header, without white space around them."""
    text = ",".join(request.headers.getall(name, ()))
    return [element for found in _ELEMENT.findall(text) if (element := found.strip(" \t"))]


def wants_minimal(request: web.Request) -> bool:
    """Return True if the request has ``Prefer: return=minimal``.

    RFC 7240 §2: if a preference is given more than once, the first one counts.
    """
    if PREFER not in request.headers:
        return False
    for element in list_elements(request, PREFER):
        found = _PREFERENCE.fullmatch(element)
        if found is not None and found[1].lower() == "return":
            value = found[2] or ""
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            return value.lower() == "minimal"
    return False


def prefers_json(request: web.Request) -> bool:
    """Return True if ``Accept`` names ``application/json``, and text with no higher weight."""
    if hdrs.ACCEPT not in request.headers:
        return False
    weights = {"application/json": 0.0, "text/plain": 0.0}
    for element in list_elements(request, hdrs.ACCEPT):
        media_type = element.partition(";")[0].strip().lower()
        if media_type in weights:
            weights[media_type] = _weight(element)
    return 0 < weights["application/json"] >= weights["text/plain"]


def accepts_gzip(request: web.Request) -> bool:
    """Return True if ``Accept-Encoding`` names gzip, or else ``*``, with a weight above 0."""
    weights: dict[str, float] = {}
    for element in list_elements(request, hdrs.ACCEPT_ENCODING):
        weights[element.partition(";")[0].strip().lower()] = _weight(element)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(element: str) -> float:
    """Return the weight ``q`` of an element of a header: 1 without one, 0 for one that is none."""
    found = _WEIGHT.search(element)
    if found is None:
        return 1.0
    try:
        return float(found[1])
    except ValueError:
        return 0.0


def content_coding(request: web.Request) -> str:
    """Return the coding of the request's body, "" for none, of which there may be only one.

    Check the other headers that say what the body is, too: it must be whole, and its only transfer
    coding chunked. Raises HeaderInvalid, ContentCodingUnsupported.
    """
    headers = request.headers
    if hdrs.CONTENT_RANGE in headers:
        # RFC 9110 §14.5: without support for partial writes, the part would replace the whole.
        raise HeaderInvalid("Content-Range: a part can't be written; send the whole body")
    if hdrs.TRANSFER_ENCODING in headers:
        transfer = list_elements(request, hdrs.TRANSFER_ENCODING)
        if [coding.lower() for coding in transfer] != ["chunked"]:
            raise HeaderInvalid("Transfer-Encoding: only chunked can be undone here")
    if hdrs.CONTENT_ENCODING not in headers:
        return ""
    listed = (coding.lower() for coding in list_elements(request, hdrs.CONTENT_ENCODING))
    codings = [coding for coding in listed if coding != "identity"]
    if len(codings) > 1:
        raise ContentCodingUnsupported(
            f"Content-Encoding: {', '.join(codings)!r}: only one coding can be undone here"
        )
    return codings[0] if codings else ""
