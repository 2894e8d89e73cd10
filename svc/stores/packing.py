"""Commands in RESP, the protocol of Redis. Pure.

hiredis packs a command quickly, but copies each word three times. So a large word is a tuple of its
parts here, and travels as they are.
"""

from __future__ import annotations

from typing import Any, Final

import hiredis

#: From this size on, a part is not copied.
LARGE_BYTES: Final = 65_536


def word_of(parts: tuple[bytes, ...]) -> bytes | tuple[bytes, ...]:
    """Return the word that the parts make, the last of which may be large."""
    return parts if len(parts[-1]) >= LARGE_BYTES else b"".join(parts)


def pack(words: tuple[Any, ...]) -> list[bytes]:
    """Return the command as bytes to be sent one after the other; one piece if no word is large."""
    if tuple not in map(type, words):
        return [hiredis.pack_command(words)]
    pieces: list[bytes] = []
    small = [b"*%d\r\n" % len(words)]
    for word in words:
        if type(word) is tuple:
            pieces += (b"".join((*small, b"$%d\r\n" % sum(map(len, word)))), *word)
            small = [b"\r\n"]
        else:
            data = word if type(word) is bytes else str(word).encode()
            small.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return [*pieces, b"".join(small)]
