"""The store's password in a file: read for each new connection, so that it may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from .reasons import PasswordUnreadable

#: Returns the password to log in with. Raises PasswordUnreadable.
PasswordSource = Callable[[], str]

MAX_BYTES: Final = 64 * 1024


def password_in(path: Path) -> PasswordSource:
    """Return a source that reads the file each time, without the line end at its end."""

    def read() -> str:
        try:
            with path.open("rb") as file:
                text = file.read(MAX_BYTES + 1).decode()
        except OSError as error:
            raise PasswordUnreadable(f"it can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise PasswordUnreadable("it is not UTF-8") from None
        password = text.rstrip("\r\n")
        if not 0 < len(text) <= MAX_BYTES or not password:
            raise PasswordUnreadable(f"it must hold a password of at most {MAX_BYTES} bytes")
        return password

    return read
