"""The echo services of two releases in one process: a busy machine holds up both or none.

Run as the command of each release's pod. The first serves for both; the other passes its listening
socket on, and waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from collections import Counter

from tests.rollout.rehearsal.echo_service import Echo, stopped


async def serve(listener: socket.socket, track: str, version: str) -> asyncio.Server:
    counts: Counter[str] = Counter()
    return await asyncio.get_running_loop().create_server(
        lambda: Echo(counts, track, version), sock=listener
    )


async def serve_others(meeting: socket.socket) -> None:
    while True:
        connection, _ = await asyncio.get_running_loop().sock_accept(meeting)
        with connection:
            # The other one may send a while after it has connected.
            connection.setblocking(True)
            labels, listeners, _, _ = socket.recv_fds(connection, 1000, 1)
        await serve(socket.socket(fileno=listeners[0]), *json.loads(labels))


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    labels = [os.environ.get("KV_TRACK", ""), os.environ.get("KV_VERSION", "")]
    # A name without a file, that of the directory which a rehearsal's processes share.
    name = f"\0{tempfile.gettempdir()}/echo"
    with socket.socket(socket.AF_UNIX) as meeting:
        try:
            meeting.bind(name)
        except OSError:  # Another one serves.
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    meeting.connect(name)
                    break
            socket.send_fds(meeting, [json.dumps(labels).encode()], [listener.fileno()])
            await stopped()
        else:
            meeting.listen()
            meeting.setblocking(False)
            await serve(listener, *labels)
            others = asyncio.create_task(serve_others(meeting))
            await stopped()
            others.cancel()


if __name__ == "__main__":
    asyncio.run(main())
