"""Response headers. Pure."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _header(says: str, example: Any, schema: dict[str, Any] = _TEXT) -> dict[str, Any]:
    return {"description": says, "schema": schema, "example": example}


#: Operations mark those that are not always there with a question mark: ``KV-TTL?``.
ANSWER_HEADERS: Final = {
    "Accept-Encoding": _header("The codings of bodies that are understood.", "gzip, deflate"),
    "Accept-Patch": _header("The type that a PATCH has.", "application/merge-patch+json"),
    "Accept-Ranges": _header("The unit of ranges.", "bytes"),
    "Cache-Control": _header("Whether the answer may be kept.", "no-cache"),
    "Content-Range": _header("Which part this is, and how long the whole is.", "bytes 0-4/11"),
    "Content-Security-Policy": _header(
        "Stored bytes may come from anyone: no browser is to run them.",
        "sandbox; default-src 'none'",
    ),
    "ETag": _header("The current version.", '"0123456789abcdef"'),
    "Idempotency-Replayed": _header(
        "This is the answer to an earlier request with the same key.", "true"
    ),
    "KV-Pod": _header("The pod that answered.", "tallykv-7d9f"),
    "KV-TTL": _header("Seconds left; absent if it never expires.", 60, _COUNT),
    "KV-Track": _header("The pod's track.", "stable"),
    "KV-Version": _header("The pod's release.", "0.1.0"),
    "Last-Modified": _header(
        "The end of the second in which it was written.", "Thu, 01 Jan 1970 00:00:00 GMT"
    ),
    "Link": _header('`rel="next"`: the next page.', '</v1/kv?cursor=AA>; rel="next"'),
    "Location": _header("The new entry's path.", "/v1/kv/tasks/0199"),
    "Preference-Applied": _header("The preference that was honoured.", "return=minimal"),
    "RateLimit": _header("What is left, if requests are limited.", '"read";r=9;t=1'),
    "RateLimit-Policy": _header("The limit, if requests are limited.", '"read";q=10;w=1'),
    "Retry-After": _header("Seconds to wait.", 1, _COUNT),
    "Vary": _header("The request headers that the answer depends on.", "Accept"),
    "WWW-Authenticate": _header("What is wrong with the token.", 'Bearer realm="tallykv"'),
    "X-Accel-Buffering": _header("Of a watch: proxies are to pass it on at once.", "no"),
    "X-Content-Type-Options": _header("No browser is to guess another type.", "nosniff"),
    "X-Request-Id": _header("The request's id: yours, or a new one.", "r-1"),
}

#: On every answer.
ALWAYS: Final = ("KV-Pod", "KV-Track", "KV-Version", "X-Request-Id")
#: On every answer if requests are limited.
LIMITED: Final = ("RateLimit?", "RateLimit-Policy?")


def answer_headers(names: tuple[str, ...]) -> dict[str, Any]:
    """Return the headers of an answer, by name."""
    found: dict[str, Any] = {}
    for name in sorted({*names, *ALWAYS, *LIMITED}):
        bare = name.removesuffix("?")
        if bare == name:
            found[bare] = {"$ref": f"#/components/headers/{bare}"}
        elif bare not in found:
            found[bare] = {"$ref": f"#/components/headers/{bare}.optional"}
    return found


def components() -> dict[str, Any]:
    """Return each header twice: always there, and there in some cases."""
    required = {name: {**each, "required": True} for name, each in ANSWER_HEADERS.items()}
    return required | {f"{name}.optional": each for name, each in ANSWER_HEADERS.items()}
