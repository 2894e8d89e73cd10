"""The names of entries, counters and operation records in Redis. Pure.

Each name has a hash tag computed from the resource's own name. So a resource and its operation
records share a Cluster slot, and braces in a client's key have no effect on the slot.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from hashlib import blake2b
from typing import Final
from zlib import crc32

from ..domain.errors import StoreCorrupt
from ..domain.model import CounterName, Key

_GLOB: Final = re.compile(rb"([\\*?\[\]])")

#: The number of hash tags: enough to spread evenly over many servers, few enough for a table.
TAGS: Final = 4096
#: Where the key or the counter's name begins in a Redis name.
NAME_START: Final = len(b"kv:{???}:")
#: The number of slots of a Redis Cluster.
SLOTS: Final = 16384

_ENTRY_PREFIXES: Final = [b"kv:{%03x}:" % tag for tag in range(TAGS)]
_COUNTER_PREFIXES: Final = [b"ct:{%03x}:" % tag for tag in range(TAGS)]

#: The last two of four hex digits, by the bits of the tag that they set.
_LOW_DIGITS: Final = {crc32(b"00%02x" % low) % TAGS: low for low in range(256)}


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


def permit_name(limit: str) -> bytes:
    """Return the name of a limit's record. Its length does not depend on the client's name."""
    hashed = blake2b(limit.encode(), digest_size=16).hexdigest().encode("ascii")
    return b"rl:{%03x}:%b" % (crc32(hashed) % TAGS, hashed)


def claim_name(operation_id: bytes) -> bytes:
    """Return the name of the record that binds an operation to the id of a new member."""
    tag = crc32(operation_id) % TAGS
    return b"op:{%03x}:%b:claim" % (tag, operation_id.hex().encode("ascii"))


def member_beside_claim(collection: str, operation_id: bytes, proposal: str) -> str:
    """Return the proposed id with other last four hex digits, which give its entry the claim's tag.

    So a server of a Cluster has both or none. The id ends in four hex digits.
    """
    start = proposal[:-4]
    # CRC-32 is linear: digits change the tag by the same bits, whatever stands before them.
    wanted = crc32(operation_id) ^ crc32(f"{collection}{start}0000".encode()) ^ crc32(b"0000")
    for high in range(256):
        low = _LOW_DIGITS.get((wanted ^ crc32(b"%02x00" % high) ^ crc32(b"0000")) % TAGS)
        if low is not None:
            return f"{start}{high:02x}{low:02x}"
    raise AssertionError("65,536 endings reach each of the 4,096 tags")  # tests/svc/stores


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
        return name[NAME_START:].decode()
    except UnicodeDecodeError:
        raise StoreCorrupt("the store holds a name that no request could have made") from None
