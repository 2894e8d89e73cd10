"""Path parameters and request headers, each with the schema of what is accepted. Pure."""

from __future__ import annotations

from typing import Any, Final

from ...domain.model import MAX_KEY_BYTES

# A pattern sees characters, so a longer key in bytes still gets 414.
_SEGMENT: Final = r"(?!\.{1,2}(/|$))[^/\x00]+"
_KEY: Final = rf"{_SEGMENT}(/{_SEGMENT})*"
_TAG: Final = r'(W/)?"[!#-~]*"'


def _text(pattern: str, most: int | None = None) -> dict[str, Any]:
    length = {} if most is None else {"minLength": 1, "maxLength": most}
    return {"type": "string", **length, "pattern": f"^{pattern}$"}


def _path(name: str, says: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": says, "schema": schema}


def _header(name: str, says: str, schema: dict[str, Any], such_as: str) -> dict[str, Any]:
    # Not as an example, which a page would fill in: most of these make a request conditional.
    says = f"{says} Such as `{such_as}`."
    return {"name": name, "in": "header", "description": says, "schema": schema}


#: By the name that operations use; the name in the path may be another's too.
PATHS: Final = {
    "key": _path(
        "key",
        "The rest of the path, percent-decoded once: UTF-8, at most 512 bytes, compared byte by"
        " byte, without an empty segment, `.` or `..`. `/` and `%2F` are the same.",
        _text(_KEY, MAX_KEY_BYTES),
    ),
    "collection": _path(
        "key",
        "What the new keys begin with: a key that ends in a slash.",
        _text(f"{_KEY}/", MAX_KEY_BYTES - 36),
    ),
    "name": _path(
        "name",
        "1 to 128 of the characters `A-Z a-z 0-9 . _ ~ : -`, and neither `.` nor `..`.",
        _text(r"(?!\.{1,2}$)[A-Za-z0-9._~:-]{1,128}", 128),
    ),
    "path": _path(
        "path",
        "A key whose first segment is not reserved for the service.",
        _text(rf"(?!(v1|docs|ui)(/|$)){_KEY}", MAX_KEY_BYTES),
    ),
}

#: What is understood on every route.
EVERYWHERE: Final = ("X-Request-Id", "traceparent")

_LIST_OF_TAGS: Final = {
    "anyOf": [{"type": "string", "const": "*"}, _text(rf"{_TAG}(, ?{_TAG})*")],
}
_ANY: Final = {"type": "string"}

HEADERS: Final = {
    each["name"]: each
    for each in (
        _header(
            "If-Match",
            "Continue only if the current ETag is one of these; `*`: only if it exists.",
            _LIST_OF_TAGS,
            '"0123456789abcdef"',
        ),
        _header(
            "If-None-Match",
            "A `GET` answers 304 if the current ETag is one of these. A write continues only if it"
            " is none of these; `*`: create only.",
            _LIST_OF_TAGS,
            '"0123456789abcdef"',
        ),
        _header(
            "If-Modified-Since",
            "304 if the entry was not written since. Ignored if it is no date.",
            _ANY,
            "Thu, 01 Jan 1970 00:00:00 GMT",
        ),
        _header(
            "If-Unmodified-Since",
            "412 if the entry was written since. Ignored if it is no date.",
            _ANY,
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ),
        _header(
            "Range",
            "One range of bytes. Several ranges, and other units, are answered with the whole.",
            _ANY,
            "bytes=0-99",
        ),
        _header(
            "If-Range",
            "The part only if the entry still has this ETag or this `Last-Modified`, else the"
            " whole.",
            _ANY,
            '"0123456789abcdef"',
        ),
        _header(
            "Last-Event-ID",
            "Of a watch: the `id` of the last event that you got; it goes on from there, or begins"
            " with a `reset`.",
            _ANY,
            "1-1",
        ),
        _header(
            "Idempotency-Key",
            "1 to 255 visible ASCII characters, bare or in quotes: the change is applied at most"
            " once within the time that /v1/limits names, and a retry gets the first answer.",
            _text(r'([!#-~]([!-~]{0,253}[!#-~])?|"([!#-\[\]-~]|\\["\\]){1,255}")'),
            "4f1c2d7e",
        ),
        _header(
            "Prefer",
            "`return=minimal`: answer without a body. Other preferences are ignored.",
            _ANY,
            "return=minimal",
        ),
        _header(
            "Content-Encoding",
            "How the body is compressed; one coding at most. Limits count what it expands to.",
            {"type": "string", "enum": ["gzip", "deflate", "identity"]},
            "identity",
        ),
        _header("X-Request-Id", "Returned, and logged. Another one if it is invalid.", _ANY, "r-1"),
        _header(
            "traceparent",
            "The trace that the request belongs to (W3C Trace Context). Ignored if it is invalid.",
            _ANY,
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    )
}
