"""The nouns of the service. A constructed object is valid, so no other code checks it again."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Final, Generic, Literal, TypeVar

import msgspec

from .errors import ContentTypeInvalid, CounterNameInvalid, KeyInvalid, KeyTooLong

Item = TypeVar("Item")

MAX_KEY_BYTES: Final = 512
MAX_TTL_SECONDS: Final = 315_360_000
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

# Most keys are plain ASCII without dots. Those need no further check, except of their slashes. To
# search what is not plain takes half as long as to match what is.
_find_not_plain: Final = re.compile(r"[^\w:~@$,;=+!*'()&/-]", re.ASCII).search
_COUNTER_NAME: Final = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._~:-]{1,128}")
_CONTENT_TYPE: Final = re.compile(r"[!-~][ -~\t]{0,254}")
_JSON_TYPE: Final = re.compile(
    r"application/(?:[\w.+-]*\+)?json\s*(?:;.*)?", re.ASCII | re.IGNORECASE
)


def _means(description: str) -> msgspec.Meta:
    """Return what the API's document says of a field."""
    return msgspec.Meta(description=description)


class Key(msgspec.Struct, frozen=True, gc=False):
    """The name of an entry: UTF-8, at most 512 bytes, byte-exact, no empty or dot segment.

    Raises KeyInvalid or KeyTooLong.
    """

    text: str

    def __post_init__(self) -> None:
        text = self.text
        if (
            not text
            or len(text) > MAX_KEY_BYTES
            or _find_not_plain(text) is not None
            or ("/" in text and "" in text.split("/"))
        ):
            check_key(text)


def check_key(text: str) -> None:
    """Raise KeyInvalid or KeyTooLong if the text is not a valid key."""
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
    """The name of a counter: 1 to 128 of ``A-Z a-z 0-9 . _ ~ : -``, but not ``.`` or ``..``.

    Clients and proxies resolve a path that ends in one of these two. Raises CounterNameInvalid.
    """

    text: str

    def __post_init__(self) -> None:
        if _COUNTER_NAME.fullmatch(self.text) is None:
            raise CounterNameInvalid(
                "name: a counter's name is 1 to 128 of the characters A-Z a-z 0-9 . _ ~ : -,"
                " and neither . nor .."
            )


@lru_cache(maxsize=128)
def check_content_type(text: str) -> str:
    """Return the content type unchanged. Raises ContentTypeInvalid if it can't be a header."""
    if _CONTENT_TYPE.fullmatch(text) is None:
        raise ContentTypeInvalid("Content-Type: it must be 1 to 255 printable ASCII characters")
    return text


@lru_cache(maxsize=128)
def is_json_type(content_type: str) -> bool:
    """Return True for a JSON content type: ``application/json`` or ``…+json``."""
    return content_type == "application/json" or _JSON_TYPE.fullmatch(content_type) is not None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A stored value with its metadata. ``ttl_seconds`` is None if it never expires."""

    body: bytes
    content_type: str
    etag: str
    written_seconds: int
    ttl_seconds: int | None
    #: True if the body passed strict JSON validation when it was written.
    is_json: bool


class Unread(msgspec.Struct, frozen=True, gc=False):
    """In place of an entry that was not read because it did not fit. ``size`` is in bytes."""

    size: int


class EntrySummary(msgspec.Struct, frozen=True, gc=False):
    """An entry in a listing."""

    key: Annotated[str, _means("The entry's key.")]
    etag: Annotated[str, _means("The current version, as in the header `ETag`.")]
    ttl: Annotated[int | None, _means("Seconds left; null: it never expires.")]
    size: Annotated[int, _means("The size of the value, in bytes.")]
    content_type: Annotated[str, _means("The stored content type.")]


#: Whole seconds; None: never expires; "keep": unchanged, or the default TTL for a new entry.
Ttl = int | None | Literal["keep"]


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An entry to be written. ``default_ttl_seconds`` is for "keep" if there is no entry yet."""

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
    """If-Match and If-None-Match (RFC 9110 §13).

    Each is a tuple of ETags in header form, ``("*",)`` for any, or None if the header was not sent.
    The store compares them: see scripts/put.lua and scripts/delete.lua in stores.
    """

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None


class Operation(msgspec.Struct, frozen=True):
    """An idempotency key in the form that the store keeps.

    ``id`` is a hash of the key and the resource, ``fingerprint`` a hash of the payload; 16 bytes
    each.
    """

    id: bytes
    fingerprint: bytes


class Counter(msgspec.Struct, frozen=True, gc=False):
    """A counter's exact value. ``ttl_seconds`` is None if it never expires."""

    value: int
    ttl_seconds: int | None


def counter_etag(value: int) -> str:
    """Return the ETag of a counter: its value in quotes. Equal values have equal ETags."""
    return f'"{value}"'


class CounterSummary(msgspec.Struct, frozen=True, gc=False):
    """A counter in a listing."""

    name: Annotated[str, _means("The counter's name.")]
    value: Annotated[int, _means("The counter's value.")]
    value_text: Annotated[
        str, _means("The same digits as text, for languages that would round them.")
    ]
    ttl: Annotated[int | None, _means("Seconds left; null: it never expires.")]


class Increment(msgspec.Struct, frozen=True, gc=False):
    """A change of a counter. A bound applies only to an increment that moves past it.

    Such an increment is refused, or clamped to the bound if ``clamp`` is true.
    """

    by: int = 1
    minimum: int | None = None
    maximum: int | None = None
    clamp: bool = False
    ttl_seconds: int | None = None
    #: True: each increment renews the TTL. False: only the one that creates the counter sets it.
    touch: bool = False

    @property
    def is_plain(self) -> bool:
        """True if a plain INCRBY is enough: the increment has no bounds and no TTL."""
        return self.minimum is None and self.maximum is None and self.ttl_seconds is None


class Added(msgspec.Struct, frozen=True, gc=False):
    """The outcome of an increment: the new value, and the amount that was added."""

    value: int
    applied_by: int
    replayed: bool = False


class StoreInfo(msgspec.Struct, frozen=True):
    """What a store answers to a ping. ``loaded_ratio`` is below 1 while it loads its data."""

    version: str
    loaded_ratio: float


class StoreFailure(msgspec.Struct, frozen=True):
    """Recent failures of a store for one reason: how long ago the first and the last was."""

    reason: str
    since_seconds: float
    last_seconds: float


#: Entries or counters, as paths of the API name them.
Collection = Literal["kv", "counters"]


class PrefixDeleted(msgspec.Struct, frozen=True):
    """What a call of a deletion by prefix did. ``next_cursor`` is None after the last one."""

    deleted: Annotated[int, _means("How many this call deleted.")]
    next_cursor: Annotated[str | None, _means("For the next call; null: this was the last one.")]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a listing. ``next_cursor`` is None on the last page."""

    items: list[Item]
    next_cursor: str | None
