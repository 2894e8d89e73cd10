"""The Lua scripts, one file each. Each uses keys of a single Cluster slot only.

May import: nothing of this project.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final


class Script:
    """A script's source, and its SHA-1, by which EVALSHA names it."""

    __slots__ = ("name", "sha", "source")

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.source: Final = (files(__package__) / f"{name}.lua").read_text()
        # Redis names scripts by SHA-1; security does not depend on it.
        self.sha: Final = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


ADD: Final = Script("add")
ADD_MANY: Final = Script("add_many")
CLAIM: Final = Script("claim")
DELETE: Final = Script("delete")
DELETE_COUNTER: Final = Script("delete_counter")
PUT: Final = Script("put")
PUT_MANY: Final = Script("put_many")
READ_MANY: Final = Script("read_many")
REFUSE: Final = Script("refuse")
RECALL: Final = Script("recall")
SET_COUNTER: Final = Script("set_counter")
