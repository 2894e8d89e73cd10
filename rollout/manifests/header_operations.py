"""Which headers a route sets, adds and removes, and what Envoy can read as their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import Field, model_validator

from .field_errors import Reason, field_error
from .json_path import PathSegments
from .strict_model import StrictModel

#: Everything but control characters; a tab is allowed.
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
#: Envoy replaces ``%NAME%`` and ``%NAME(argument)%``; ``%%`` is a percent sign.
_FORMATTED: Final = re.compile(r"(?:[^%]|%%|%(?!%)[^%(]*(?:\((?:[^)\\]|\\.)*\) *)?%)*", re.DOTALL)
_AUTHORITY: Final = frozenset({":authority", "host"})


def is_authority(header: str) -> bool:
    """Return True for the names that stand for the host of the request."""
    return header.lower() in _AUTHORITY


class HeaderOperations(StrictModel):
    set: dict[str, str] = Field(default_factory=dict)
    add: dict[str, str] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Headers(StrictModel):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None

    @model_validator(mode="after")
    def _check_names_and_values(self) -> Headers:
        if self.request:
            for name in (*self.request.set, *self.request.add):
                if not is_authority(name):
                    _check_name(name, ("request",))
            _check_names(self.request.remove, ("request", "remove"))
            _check_values(self.request, "request")
        if self.response:
            for field in ("set", "add", "remove"):
                _check_names(getattr(self.response, field), ("response", field))
            _check_values(self.response, "response")
        return self

    def authorities(self) -> Iterator[str]:
        """Yield the hosts that the operations on the request set or add."""
        for headers in (self.request.set, self.request.add) if self.request else ():
            yield from (value for name, value in headers.items() if is_authority(name))


def _check_names(names: Iterable[str], at: PathSegments) -> None:
    for name in names:
        if name.lower() == "host":
            raise field_error(
                Reason.BAD_VALUE, "the header Host can't be changed here", "remove it", at
            )
        _check_name(name, at)


def _check_name(name: str, at: PathSegments) -> None:
    if not name or name.startswith(":"):
        what = f'"{name}" begins with a colon' if name else "the name of the header is empty"
        raise field_error(
            Reason.BAD_VALUE, what, "name a header; rewrite changes the path and the host", at
        )


def _check_values(operations: HeaderOperations, side: str) -> None:
    for field in ("set", "add"):
        for name, value in getattr(operations, field).items():
            if not _VALUE.fullmatch(value) or not _FORMATTED.fullmatch(value):
                raise field_error(
                    Reason.BAD_VALUE,
                    f"the value of the header {name} is not one that Envoy accepts",
                    "write it in one line; write %% for a percent sign",
                    (side, field, name),
                )
