"""Every dialect of the table, on both ports: how its bytes arrive must not decide its fate.

Each is replayed whole, cut in two at every byte, byte by byte, between two other requests in one
segment, and by a client that closes its side after the last byte. On the loop of the other tests,
which the service does not run on, it is cut at fewer places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Final

import pytest
import uvloop

from svc.settings import Settings
from tests.docs.pages import ROOT
from tests.support.answers import get
from tests.support.http_dialects import DIALECTS, MAX_VALUE_BYTES, Dialect
from tests.support.raw_http import RawConnection, RawResponse, raw_connection
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.sizes import size

TRAFFIC: Final = "traffic port"
ADMIN: Final = "admin port"
READ: Final = {TRAFFIC: "/v1/limits", ADMIN: "/version"}
#: At how many places to cut a request that is longer than this, by the loop.
MOST_CUTS: Final = {"asyncio": size(10, long=300), "uvloop": size(100, long=300)}
TOGETHER: Final = 25
#: For a busy machine: the tests ask what is answered, not when.
PATIENT_SECONDS: Final = 60.0
#: The time of a head, for the clients that wait.
SLOW_SECONDS: Final = 0.5

KEYS: Final = count()


#: The loop of the other tests, and the one that the service runs on.
LOOPS: Final[dict[str, Any]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Replay:
    """One dialect on one port, with a key of its own."""

    def __init__(self, service: Service, port: str, dialect: Dialect) -> None:
        self.service = service
        self.on_admin = port == ADMIN
        base = service.admin_base if self.on_admin else service.base
        self.port = int(base.rpartition(":")[2])
        self.dialect = dialect
        self.key = f"k{next(KEYS):06}"
        self.read = f"GET {READ[port]} HTTP/1.1\r\nHost: kv\r\n\r\n".encode()
        text = dialect.sent.replace("READ", READ[port]).replace("KEY", self.key)
        self.sent = text.encode("latin-1")
        self.statuses = dialect.answers_of_admin if self.on_admin else dialect.answers

    async def run(
        self, parts: Sequence[bytes], *, joined: bool = False, ends: bool = False
    ) -> None:
        """Send the parts one after the other. Assert what is answered, stored, and comes then."""
        stays = self.dialect.stays_on_admin if self.on_admin else self.dialect.stays
        expected = list(self.statuses)
        if joined:
            parts = [self.read + b"".join(parts) + self.read]
            expected = [200, *expected, *([200] if stays else [])]
        async with raw_connection(self.port) as wire:
            for part in parts:
                await wire.send(part)
                # The service is in this loop: it reads the part before the next one is sent.
                for _ in range(3):
                    await asyncio.sleep(0)
            if ends:
                wire.end()
            for status in expected:
                self.check(await final_answer(wire), status)
            if stays and not ends:
                await wire.send(self.read)
                self.check(await final_answer(wire), 200)
            else:
                assert await wire.reader.read() == b""
        if "KEY" in self.dialect.sent and not self.on_admin:
            found = await get(self.service, self.key)
            stored = self.dialect.stored
            assert found.status == (404 if stored is None else 200), found
            assert stored is None or found.body == stored.encode()

    def check(self, answer: RawResponse, status: int) -> None:
        assert answer.status == status, answer
        assert answer.headers["KV-Pod"], answer
        assert answer.headers["X-Request-Id"], answer
        if status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json", answer
            assert answer.json["applied"] == "no", answer
            assert answer.json["trace_id"], answer
        if status >= 400 or self.on_admin:
            assert answer.headers["Cache-Control"] == "no-store", answer


async def final_answer(wire: RawConnection) -> RawResponse:
    answer = await wire.answer(seconds=PATIENT_SECONDS)
    return await wire.answer(seconds=PATIENT_SECONDS) if answer.status == 100 else answer


def in_two(size: int, cuts: int) -> Iterator[int]:
    return iter(range(1, size, max(1, size // cuts)))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("port", [TRAFFIC, ADMIN])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_dialect_is_answered_however_it_arrives(
    shared_redis: RedisServer, dialect: Dialect, port: str, loop: str
) -> None:
    settings = Settings(
        store_url=shared_redis.url,
        store_timeout_ms=60_000,
        header_timeout_seconds=SLOW_SECONDS if dialect.waits else PATIENT_SECONDS,
        body_timeout_seconds=PATIENT_SECONDS,
        max_value_bytes=MAX_VALUE_BYTES,
    )

    async def replay() -> None:
        async with running_service(settings) as service:
            await replay_all(lambda: Replay(service, port, dialect), MOST_CUTS[loop])

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(replay())


async def replay_all(replay: Callable[[], Replay], cuts: int) -> None:
    if replay().dialect.waits:
        whole = replay()
        await whole.run([whole.sent])
        return
    for options in ({}, {"joined": True}, {"ends": True}, {"joined": True, "ends": True}):
        whole = replay()
        await whole.run([whole.sent], **options)

    runs: list[Any] = []
    for cut in in_two(len(replay().sent), cuts):
        parted = replay()
        runs.append((parted, [parted.sent[:cut], parted.sent[cut:]], False))
    for ends in (False, True):
        dripped = replay()
        runs.append((dripped, [bytes([byte]) for byte in dripped.sent[-cuts:]], ends))
        runs[-1][1][0] = dripped.sent[:-cuts] + runs[-1][1][0]
    while runs:
        async with asyncio.TaskGroup() as group:
            for each, parts, ends in runs[:TOGETHER]:
                group.create_task(each.run(parts, ends=ends))
        del runs[:TOGETHER]


def documented(dialect: Dialect) -> list[str]:
    statuses = ", ".join(map(str, dialect.answers)) or "none"
    return [dialect.name, statuses, "stays open" if dialect.stays else "is closed"]


def test_the_reference_has_the_table() -> None:
    text = (ROOT / "docs" / "reference" / "http.md").read_text()
    _, _, after = text.partition("| A client sends | Status | The connection |\n|---|---|---|\n")
    table, _, _ = after.partition("\n\n")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]

    assert rows == [documented(dialect) for dialect in DIALECTS]
