"""How entries, counters and operation records are named in Redis.

Every name carries a hash tag made of the resource's own name, so that braces in a key steer no
Cluster slot, and what belongs to one resource (its value, its operation records) shares its slot.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

from ..domain.model import CounterName, Key

_GLOB: Final = re.compile(rb"([\\*?\[\]])")


def tag(resource: bytes) -> int:
    return crc32(resource) & 0xFFFF


def entry_name(key: Key) -> bytes:
    text = key.text.encode()
    return b"kv:{%04x}:%b" % (tag(text), text)


def counter_name(name: CounterName) -> bytes:
    text = name.text.encode("ascii")
    return b"ct:{%04x}:%b" % (tag(text), text)


def operation_name(resource: str, operation_id: bytes) -> bytes:
    return b"op:{%04x}:%b" % (tag(resource.encode()), operation_id.hex().encode("ascii"))


def claim_name(collection: str, operation_id: bytes) -> bytes:
    return operation_name(collection, operation_id) + b":claim"


def entry_pattern(prefix: str) -> bytes:
    return b"kv:{????}:" + _GLOB.sub(rb"\\\1", prefix.encode()) + b"*"


def counter_pattern(prefix: str) -> bytes:
    return b"ct:{????}:" + _GLOB.sub(rb"\\\1", prefix.encode()) + b"*"


def text_of(name: bytes) -> str:
    """Return the key or the counter's name inside a name made here."""
    return name[len(b"kv:{????}:") :].decode()
