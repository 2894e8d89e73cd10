"""Find out whether a server speaks TLS where the URL says it does not, or the opposite.

Neither side says so itself. Redis closes a connection whose bytes are no TLS, and waits for more if
TLS comes where it expects commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final

from .wire import Target

ANSWER_SECONDS: Final = 1.0


async def is_mismatch(target: Target) -> bool:
    """Return True if the server at the target's host and port answers the other way."""
    if target.path is not None:
        return False
    context = None
    if target.tls is None:
        # Only the protocol matters; nothing is sent over this connection.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
            try:
                if context is not None:
                    return True
                writer.write(b"PING\r\n")
                return (await reader.read(1)) in {b"+", b"-"}
            finally:
                writer.close()
    return False
