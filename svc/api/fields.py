"""The types of fields in bodies and queries, each with what the OpenAPI document says of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..domain.model import INT64_MAX, INT64_MIN, MAX_TTL_SECONDS


def means(description: str, exactly: dict[str, Any] | None = None, **more: Any) -> msgspec.Meta:
    """Return what the OpenAPI document says of a field; ``exactly``: its schema in another form."""
    extra = more if exactly is None else {"x-exactly": exactly}
    return msgspec.Meta(description=description, extra_json_schema=extra)


Int64 = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
TtlSeconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL_SECONDS)]
TtlText = Annotated[
    str,
    msgspec.Meta(pattern=r"^(none|keep|[1-9][0-9]{0,8})(?![\s\S])"),
    means(
        "Seconds; `none`: it never expires; `keep`: the time left. Without it, the default TTL.",
        {
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": MAX_TTL_SECONDS,
            "pattern": "^(none|keep)$",
        },
    ),
]
# A text pattern, because a conversion would accept 1e1 and 10.0 too.
PageLimit = Annotated[
    str,
    msgspec.Meta(pattern=r"^([1-9][0-9]{0,2}|1000)(?![\s\S])"),
    means("The most items of a page.", {"type": "integer", "minimum": 1, "maximum": 1000}),
]

Prefix = Annotated[
    str, msgspec.Meta(max_length=512), means("What the names begin with, literally.")
]
Include = (
    Annotated[
        str,
        msgspec.Meta(pattern=r"^value(?![\s\S])"),
        means("With the values.", {"type": "string", "enum": ["value"]}),
    ]
    | None
)
Cursor = (
    Annotated[str, msgspec.Meta(max_length=6000), means("`next_cursor` of the page before.")] | None
)
KeyText = Annotated[str, means("The entry's key.")]
NameText = Annotated[str, means("The counter's name.")]
EtagText = Annotated[str, means("The current version, as in the header `ETag`.")]
TtlLeft = Annotated[int | None, means("Seconds left; null: it never expires.")]
Total = Annotated[Int64, means("The counter's value.")]
Digits = Annotated[str, means("The same digits as text, for languages that would round them.")]
AppliedBy = Annotated[Int64, means("The amount that was added.")]
Replayed = Annotated[bool, means("True: the result of an earlier request with the same key.")]
Status = Annotated[int, means("The HTTP status of the single request.")]
NextCursor = Annotated[str | None, means("For the next page; null: this is the last one.")]
CounterTtl = Annotated[TtlSeconds | None, means("Seconds; without it, the TTL is not touched.")]
IfMatch = Annotated[
    str | None, means("As the header `If-Match`; a single ETag may come without its quotes.")
]
IfNoneMatch = Annotated[
    str | None, means("As the header `If-None-Match`; a single ETag may come without its quotes.")
]
OnceKey = Annotated[str | None, means("As the header `Idempotency-Key`.")]
AnyJson = Annotated[msgspec.Raw, means("Any JSON value.")]
Base64 = Annotated[str | None, means("Bytes in base64, in place of `value`.")]
NotJsonBytes = Annotated[bytes, means("The bytes of a value that is not JSON.")]
Bound = Annotated[Int64 | None, means("A bound of the sum; null: none but the 64-bit range.")]
