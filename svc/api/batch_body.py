"""Read the body of a batch, without the values of its puts. Pure."""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain
from typing import Any, Final

import msgspec

from ..domain.errors import BodyInvalid
from .bodies import BatchBody, BatchOperation, GetOperation
from .strict_json import decode_body, occur_exactly, reject_duplicate_keys

#: A parse for duplicate keys holds up other requests. Beyond this, values are left out of it.
_SMALL_BYTES: Final = 65_536


class _Name:
    """A member's name. Each is another key of a dict, so that duplicates stay."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_body: Final = msgspec.json.Decoder(BatchBody)
_names: Final = msgspec.json.Decoder(
    dict[_Name, list[dict[_Name, msgspec.Raw]]], dec_hook=lambda _, text: _Name(text)
)


def read_operations(
    raw: bytes, most: int
) -> Generator[None, None, tuple[list[BatchOperation], bool]]:
    """Return the operations of a batch, and whether all are reads without a condition.

    The values of puts are unchecked bytes.

    Raises BodyInvalid, also if there are more than ``most``.
    """
    operations = decode_body(raw, _body).operations
    if not 1 <= len(operations) <= most:
        raise BodyInvalid(f"operations: there are {len(operations)}; a batch holds 1 to {most}")
    only_reads = set(map(type, operations)) == {GetOperation}
    # Each read has one "op" and one "key". If the names occur as often as there are reads, no
    # read has a duplicate, and a full parse for duplicates is not needed.
    names = {"operations": 1, "op": len(operations), "key": len(operations)}
    if only_reads and b'"if_' not in raw and occur_exactly(names, raw):
        return operations, True
    yield
    _reject_duplicates(raw)
    return operations, only_reads and not any(map(_has_condition, operations))


def _has_condition(operation: BatchOperation) -> bool:
    return operation.if_match is not None or operation.if_none_match is not None


def _reject_duplicates(raw: bytes) -> None:
    """Raise BodyInvalid if the body or an operation has duplicate keys."""
    if len(raw) <= _SMALL_BYTES:
        try:
            reject_duplicate_keys(raw)
        except BodyInvalid:
            pass  # perhaps in a value, which only its own operation is refused for
        else:
            return
    body = _names.decode(raw)
    objects: list[dict[_Name, Any]] = [body, *chain.from_iterable(body.values())]
    for members in objects:
        names = [name.text for name in members]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise BodyInvalid(f"body: {twice!r} is given more than once in one object")
