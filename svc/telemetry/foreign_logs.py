"""Log records of OpenTelemetry's libraries, without the texts in them.

The exporter's messages hold the collector's URL and headers, and so tokens and passwords. What a
message says in all cases stays, and so do numbers, such as the collector's status.
"""

from __future__ import annotations

import logging
from typing import Final

FOREIGN: Final = frozenset(("grpc", "opentelemetry", "requests", "urllib3"))
HIDDEN: Final = "***"


def hide_texts(record: logging.LogRecord) -> bool:
    """Logging filter: hide what may be a secret in other libraries' records. Return True."""
    if str(record.name).partition(".")[0] not in FOREIGN:
        return True
    if isinstance(record.args, tuple):
        record.args = tuple(
            each if isinstance(each, int | float | None) else HIDDEN for each in record.args
        )
    elif record.args:
        record.msg, record.args = HIDDEN, ()
    if record.exc_info and record.exc_info[0] is not None:
        # The text of an exception, and of those before it, may hold the URL too.
        setattr(record, "exception.type", record.exc_info[0].__qualname__)
        record.exc_info = record.exc_text = None
    return True
