"""The names of entries, counters and operation records in Redis. Pure.

Each name has a hash tag computed from the resource's own name. So a resource and its operation
records share a Cluster slot, and braces in a client's key have no effect on the slot.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from typing import Final
from zlib import crc32

from ..domain.errors import StoreCorrupt
from ..domain.model import CounterName, Key

_GLOB: Final = re.compile(rb"([\\*?\[\]])")

#: The number of hash tags: enough to spread evenly over many servers, few enough for a table.
TAGS: Final = 4096
#: The number of slots of a Redis Cluster.
SLOTS: Final = 16384

_ENTRY_PREFIXES: Final = [b"kv:{%03x}:" % tag for tag in range(TAGS)]
_COUNTER_PREFIXES: Final = [b"ct:{%03x}:" % tag for tag in range(TAGS)]


def entry_name(key: Key) -> bytes:
    text = key.text.encode()
    return _ENTRY_PREFIXES[crc32(text) % TAGS] + text


def counter_name(name: CounterName) -> bytes:
    text = name.text.encode()
    return _COUNTER_PREFIXES[crc32(text) % TAGS] + text


def operation_name(resource: str, operation_id: bytes) -> bytes:
    """Return the name of an operation's record; ``resource`` is a key or a counter's name."""
    tag = crc32(resource.encode()) % TAGS
    return b"op:{%03x}:%b" % (tag, operation_id.hex().encode("ascii"))


def claim_name(collection: str, operation_id: bytes) -> bytes:
    return operation_name(collection, operation_id) + b":claim"


def slot_of(name: bytes) -> int:
    """Return the Cluster slot of a name: CRC-16/XMODEM of its hash tag, or else of all of it.

    Source: the Redis Cluster specification, "Hash tags".
    """
    opening = name.find(b"{")
    closing = name.find(b"}", opening + 1)
    if opening >= 0 and closing > opening + 1:
        name = name[opening + 1 : closing]
    return crc_hqx(name, 0) % SLOTS


def entry_pattern(prefix: str) -> bytes:
    return b"kv:{???}:" + _GLOB.sub(rb"\\\1", prefix.encode()) + b"*"


def counter_pattern(prefix: str) -> bytes:
    return b"ct:{???}:" + _GLOB.sub(rb"\\\1", prefix.encode()) + b"*"


def text_of(name: bytes) -> str:
    """Return the key or the counter's name inside a Redis name. Raises StoreCorrupt."""
    try:
        return name[len(b"kv:{???}:") :].decode()
    except UnicodeDecodeError:
        raise StoreCorrupt("the store holds a name that no request could have made") from None
