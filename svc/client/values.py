"""Values and entries as programs see them: bytes, text or JSON. Pure."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar

import msgspec

from ..domain.model import EntrySummary, is_json_type
from .errors import Invalid, ServiceFailed
from .exchange import Answer

Type = TypeVar("Type")

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
OCTETS: Final = "application/octet-stream"

#: bytes, text, or whatever msgspec can write as JSON. An Entry stands for its body and type.
Value = Any
#: Whole seconds; "none": it never expires; "keep": the time that is left. None: as the service.
Ttl = int | Literal["none", "keep"] | None

_encode: Final = msgspec.json.Encoder().encode


class Entry(EntrySummary, frozen=True, kw_only=True):
    """An entry with its value. ``ttl`` are the seconds left; None: it never expires."""

    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self, type: type[Type] | Any = Any) -> Any:  # noqa: A002 - as msgspec names it
        """Return the value, decoded as JSON; with ``type``, as one of it.

        Raises msgspec.DecodeError, or msgspec.ValidationError if it is not of that type.
        """
        return msgspec.json.decode(self.body, type=type)

    def shown(self) -> dict[str, Any]:
        """Return the value as a member that JSON can hold: value, text, or value_b64."""
        if is_json_type(self.content_type):
            return {"value": msgspec.Raw(self.body)}
        if self.content_type.startswith("text/"):
            try:
                return {"text": self.text}
            except UnicodeDecodeError:
                pass
        return {"value_b64": self.body}


def encode_value(value: Value, content_type: str | None = None) -> tuple[bytes, str]:
    """Return the bytes to store and their content type. Raises Invalid."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), content_type or OCTETS
    if isinstance(value, Entry):
        return value.body, content_type or value.content_type
    try:
        if isinstance(value, str):
            return value.encode(), content_type or TEXT
        return _encode(value), content_type or JSON
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Invalid(f"value: it can't be written: {error}", code="body_invalid") from None


def not_of_this_api(answer: Answer, why: str) -> ServiceFailed:
    return ServiceFailed(
        f"the answer is not one of this API ({why}); is the base URL that of the service?",
        code="answer_invalid",
        status=answer.status,
        applied="unknown",
    )


def entry_of(key: str, answer: Answer) -> Entry:
    """Return the entry that an answer to GET holds. Raises ServiceFailed if it holds none."""
    headers = answer.headers
    etag, ttl = headers.get("etag"), headers.get("kv-ttl")
    if etag is None or not (ttl is None or (ttl.isascii() and ttl.isdigit())):
        error = not_of_this_api(answer, "no ETag" if etag is None else "KV-TTL is no number")
        error.applied = "no"
        raise error
    return Entry(
        key=key,
        etag=etag,
        ttl=None if ttl is None else int(ttl),
        size=len(answer.body),
        content_type=headers.get("content-type", OCTETS),
        body=answer.body,
    )


class Told(msgspec.Struct, frozen=True):
    """An entry as batches, lists and watches tell it: with ``value``, ``value_b64`` or neither."""

    key: str
    etag: str
    content_type: str
    ttl: int | None = None
    size: int | None = None
    value: msgspec.Raw = msgspec.Raw(b"")
    value_b64: bytes | None = None

    def entry(self) -> Entry | EntrySummary:
        """Return the entry; without its value if that was not told."""
        body = bytes(self.value) if self.value_b64 is None else self.value_b64
        if self.value_b64 is None and not body:
            return EntrySummary(self.key, self.etag, self.ttl, self.size or 0, self.content_type)
        return Entry(
            key=self.key,
            etag=self.etag,
            ttl=self.ttl,
            size=len(body),
            content_type=self.content_type,
            body=body,
        )
