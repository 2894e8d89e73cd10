"""Cuts an incomplete transaction off the end of the append-only file, before redis-server reads it.

The effects of a script are one transaction in the file. A kill may leave the first part of one.
redis-server then cuts off only its last, incomplete command, and leaves ``MULTI`` without ``EXEC``:
after the next restart, the commands before the cut are applied too, for example an increment whose
operation record is missing. Valkey 9.1.2 mended that (valkey-io/valkey#4342); Redis 6 and 7.0 have
the fault.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import hiredis

#: The end of a complete transaction.
_EXEC: Final = b"*1\r\n$4\r\nEXEC\r\n"
#: redis-server checks a file, instead of serving, if it is started by this name. Not every event
#: loop can start a program by another name, so an interpreter does it.
_CHECK: Final = "redis-check-aof"
_LAUNCHER: Final = ("-I", "-S", "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[2:])")
_VALID_BYTES: Final = re.compile(rb"ok_up_to=(\d+)")


async def cut_incomplete_transaction(file: Path, binary: str) -> int:
    """Cut it off, and return the number of bytes cut; 0 if the file ends otherwise. Raises OSError.

    A file that is damaged in another way is left as it is.
    """
    if _last_bytes(file, len(_EXEC)).upper() in {b"", _EXEC}:
        return 0
    checker = await asyncio.create_subprocess_exec(
        *(sys.executable, *_LAUNCHER, binary, _CHECK, str(file)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        output, _ = await checker.communicate()
    finally:
        if checker.returncode is None:
            checker.kill()
            await checker.wait()
    found = _VALID_BYTES.search(output)
    size = _size_of(file)
    valid = size if found is None else int(found[1])
    if not _is_incomplete_transaction(_last_bytes(file, size - valid)):
        return 0
    os.truncate(file, valid)
    return size - valid


def _size_of(file: Path) -> int:
    return file.stat().st_size


def _last_bytes(file: Path, size: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(-min(size, _size_of(file)), os.SEEK_END)
        return stream.read()


def _is_incomplete_transaction(tail: bytes) -> bool:
    """Return True for ``MULTI`` and some more commands, the last of which may be incomplete."""
    reader = hiredis.Reader()
    reader.feed(tail)
    names = []
    try:
        while command := reader.gets():
            names.append(command[0].upper())
    except (hiredis.ProtocolError, TypeError, IndexError, AttributeError):
        return False
    return names[:1] == [b"MULTI"] and not {b"MULTI", b"EXEC"} & set(names[1:])
