"""Logs: a constant message, and the facts of the case as fields behind it."""

from __future__ import annotations

import logging
from typing import Final

#: What every record has; anything else was given as ``extra``.
_COMMON: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldFormatter(logging.Formatter):
    """Appends each field as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        line, newline, trace = super().format(record).partition("\n")
        facts = [f"{n}={v!r}" for n, v in vars(record).items() if n not in _COMMON]
        return " ".join([line, *facts]) + newline + trace


def set_up_logs() -> None:
    """Log to stderr, for people."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
