"""The nouns of the service: valid once built, so nothing further in checks them again."""

from __future__ import annotations

import re
from typing import Final, Generic, Literal, TypeVar

import msgspec

from .errors import ContentTypeInvalid, CounterNameInvalid, KeyInvalid, KeyTooLong

Item = TypeVar("Item")

MAX_KEY_BYTES: Final = 512
MAX_TTL_SECONDS: Final = 315_360_000
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

# Most keys are one or more plain ASCII segments without dots; they need no closer look.
_PLAIN_KEY: Final = re.compile(r"[\w:~@$,;=+!*'()&-]+(?:/[\w:~@$,;=+!*'()&-]+)*", re.ASCII)
_COUNTER_NAME: Final = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
_CONTENT_TYPE: Final = re.compile(r"[!-~][ -~\t]{0,254}")
_JSON_TYPE: Final = re.compile(
    r"application/(?:[\w.+-]*\+)?json\s*(?:;.*)?", re.ASCII | re.IGNORECASE
)


class Key(msgspec.Struct, frozen=True, gc=False):
    """The name of an entry: UTF-8, at most 512 bytes, byte-exact, no empty or dot segment.

    Raises KeyInvalid or KeyTooLong.
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_KEY_BYTES or _PLAIN_KEY.fullmatch(self.text) is None:
            check_key(self.text)


def check_key(text: str) -> None:
    """Raise KeyInvalid or KeyTooLong unless the text can name an entry."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise KeyInvalid("key: it must be valid UTF-8") from None
    if size > MAX_KEY_BYTES:
        raise KeyTooLong(f"key: it is {size} bytes long; at most {MAX_KEY_BYTES} are allowed")
    if "\0" in text:
        raise KeyInvalid("key: it must not hold a NUL character")
    for segment in text.split("/"):
        if not segment:
            raise KeyInvalid("key: it must not be empty, nor hold an empty segment")
        if segment in {".", ".."}:
            raise KeyInvalid(f"key: it must not hold the segment {segment!r}")


class CounterName(msgspec.Struct, frozen=True, gc=False):
    """The name of a counter: 1 to 128 of ``A-Z a-z 0-9 . _ ~ : -``. Raises CounterNameInvalid."""

    text: str

    def __post_init__(self) -> None:
        if _COUNTER_NAME.fullmatch(self.text) is None:
            raise CounterNameInvalid(
                "name: a counter's name is 1 to 128 of the characters A-Z a-z 0-9 . _ ~ : -"
            )


def check_content_type(text: str) -> str:
    """Return the content type unchanged; raise ContentTypeInvalid when it can't be a header."""
    if _CONTENT_TYPE.fullmatch(text) is None:
        raise ContentTypeInvalid("Content-Type: it must be 1 to 255 printable ASCII characters")
    return text


def is_json_type(content_type: str) -> bool:
    """Tell whether the content type declares JSON (``application/json`` or ``…+json``)."""
    return content_type == "application/json" or _JSON_TYPE.fullmatch(content_type) is not None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A stored value and what is known of it; ``ttl_seconds`` is None when it never expires."""

    body: bytes
    content_type: str
    etag: str
    written_seconds: int
    ttl_seconds: int | None
    #: The body passed the strict JSON reading when it was written.
    is_json: bool


class EntrySummary(msgspec.Struct, frozen=True, gc=False):
    """What a listing says of an entry; ``size`` is the body's, in bytes."""

    key: str
    etag: str
    ttl: int | None
    size: int
    content_type: str


#: Whole seconds; None: never expires; "keep": as it was, the default for a new entry.
Ttl = int | None | Literal["keep"]


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An entry to be written; ``default_ttl_seconds`` serves "keep" on an absent entry."""

    body: bytes
    content_type: str
    ttl: Ttl
    is_json: bool
    default_ttl_seconds: int = 0


class Written(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a write."""

    etag: str
    ttl_seconds: int | None
    written_seconds: int
    created: bool
    replayed: bool = False


class Precondition(msgspec.Struct, frozen=True):
    """RFC 9110 §13: ETags in header form, ``("*",)`` for any, None for a header not sent."""

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None


class Operation(msgspec.Struct, frozen=True):
    """An idempotency key as the store keeps it.

    ``id`` is 16 bytes made of the key and the resource, ``fingerprint`` 16 bytes of the payload.
    """

    id: bytes
    fingerprint: bytes


class Counter(msgspec.Struct, frozen=True, gc=False):
    """A counter's exact value; ``ttl_seconds`` is None when it never expires."""

    value: int
    ttl_seconds: int | None


class CounterSummary(msgspec.Struct, frozen=True, gc=False):
    """What a listing says of a counter."""

    name: str
    value: int
    value_text: str
    ttl: int | None


class Increment(msgspec.Struct, frozen=True, gc=False):
    """A step of a counter. A bound refuses (or clamps) only a step that moves past it."""

    by: int = 1
    minimum: int | None = None
    maximum: int | None = None
    clamp: bool = False
    ttl_seconds: int | None = None
    #: True renews the TTL at each step, False sets it only when the step creates the counter.
    touch: bool = False

    @property
    def is_plain(self) -> bool:
        """Tell whether a bare INCRBY does the whole of it."""
        return self.minimum is None and self.maximum is None and self.ttl_seconds is None


class Added(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a step: the new value, and by how much it moved."""

    value: int
    applied_by: int
    replayed: bool = False


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a listing; ``next_cursor`` is None at the end."""

    items: list[Item]
    next_cursor: str | None
