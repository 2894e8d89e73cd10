"""The Lua scripts, one file each. Each uses keys of a single Cluster slot only.

Scripts that change data begin with late.lua, and take their deadline as the last argument.

May import: nothing of this project.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the words that call it: EVALSHA and its SHA-1, or EVAL and its source."""

    name: str
    source: str
    #: True if it may change data. The last of its arguments is then its deadline.
    changes: bool
    words: tuple[str, str]

    def by_source(self) -> Script:
        """Return the same script called by EVAL, after which the server knows it."""
        return replace(self, words=("EVAL", self.source))


def _load(name: str, *, changes: bool = True) -> Script:
    source = (_read("late") if changes else "") + _read(name)
    # Redis names scripts by SHA-1; security does not depend on it.
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, changes, ("EVALSHA", sha))


def _read(name: str) -> str:
    return (files(__package__) / f"{name}.lua").read_text()


ADD: Final = _load("add")
ADD_MANY: Final = _load("add_many")
CLAIM: Final = _load("claim")
DELETE: Final = _load("delete")
DELETE_COUNTER: Final = _load("delete_counter")
DELETE_MANY: Final = _load("delete_many")
PUT: Final = _load("put")
PUT_MANY: Final = _load("put_many")
READ_MANY: Final = _load("read_many", changes=False)
REFUSE: Final = _load("refuse")
RECALL: Final = _load("recall", changes=False)
SET_COUNTER: Final = _load("set_counter")
TAKE: Final = _load("take")
