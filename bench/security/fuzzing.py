"""Fuzzed requests to a service with tokens: what is answered, and what nothing may show."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Final

from bench.frame.processes import running
from bench.frame.program import Run
from bench.frame.rows import Row, at_least, at_most
from bench.testbed.http_client import exchange
from bench.testbed.operations import render_request
from bench.testbed.servers import PATIENT, Redis, Service
from svc.door.tokens import MARK, digest_of

from .requests import fuzzed
from .sink import running_sink
from .sizes import Sizes

CONNECTIONS: Final = 16
ANSWER_SECONDS: Final = 60.0
#: 503, 504 and 507 are promised for a store or a service that can't; 505 for another HTTP.
PROMISED: Final = frozenset({503, 504, 505, 507})
PAGES: Final = (b"/ui", b"/docs")
SECRET: Final = "5ec7e7" * 11  # not a token of anybody
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")


class Fuzzer:
    """Sends requests, each on a connection of its own, and keeps what came back."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._random = Random(seed)
        self.statuses: Counter[int] = Counter()
        #: Those of them that were asked for a page, which needs no token.
        self.of_page: Counter[int] = Counter()
        self.unanswered = 0
        self.received = bytearray()

    async def send(self, count: int, authorization: str | None) -> None:
        requests = iter([fuzzed(self._random, authorization) for _ in range(count)])
        await asyncio.gather(*(self._send_each(requests) for _ in range(CONNECTIONS)))

    async def _send_each(self, requests: Iterator[bytes]) -> None:
        for request in requests:
            answer = await self._exchange(request)
            found = [int(each) for each in _STATUS.findall(answer) if each != b"100"]
            self.statuses.update(found)
            if any(page in request.partition(b"\r\n")[0] for page in PAGES):
                self.of_page.update(found)
            self.unanswered += not found
            self.received += answer

    async def _exchange(self, request: bytes) -> bytes:
        answer = b""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(request)
                writer.write_eof()
                while part := await reader.read(65_536):
                    answer += part
                writer.close()
        except (OSError, TimeoutError):
            pass
        return answer


def fuzz(run: Run[Sizes]) -> Iterator[Row]:
    """Send half of the requests with a token and half without. Search all output for secrets."""
    token = f"{MARK}_fuzz_{SECRET}"
    forged = f"{MARK}_fuzz_{SECRET[::-1]}"
    tokens = run.directory / "tokens"
    scopes = "read,write,delete keys=team-a/ counters=n"
    tokens.write_text(f"fuzz sha256:{digest_of(token).hex()} {scopes}\n")
    with (
        running(Redis(cores=run.load_cores)) as server,
        running_sink() as sink,
        running(
            Service(
                server.url,
                {
                    **PATIENT,
                    **sink.signals(),
                    "KV_TOKENS_FILE": str(tokens),
                    "KV_HEADER_TIMEOUT_SECONDS": "5",
                    "KV_BODY_TIMEOUT_SECONDS": "5",
                },
                run.server_cores,
            )
        ) as service,
    ):
        known = Fuzzer(service.port, 1)
        asyncio.run(known.send(run.sizes.requests // 2, f"Bearer {token}"))
        nobody = Fuzzer(service.port, 2)
        asyncio.run(nobody.send(run.sizes.requests // 4, None))
        asyncio.run(nobody.send(run.sizes.requests // 4, f"Bearer {forged}"))
        _, metrics = exchange(service.admin_port, render_request("GET", "/metrics"))
        service.check_alive()
        service.send_signal(signal.SIGTERM)
        service.wait_for_end()
        log = service.output()
    shown = {
        "log": log,
        "metrics": metrics,
        "spans": bytes(sink.received),
        "answers": bytes(known.received + nobody.received),
    }
    statuses = known.statuses + nobody.statuses
    total = statuses.total()
    yield Row("answers", total, "", at_least(run.sizes.requests * 0.9), _summary(statuses))
    yield Row("no answer: not HTTP at all", known.unanswered + nobody.unanswered)
    bad = sum(n for status, n in statuses.items() if status >= 500 and status not in PROMISED)
    yield Row("5xx that is not promised", bad, "", at_most(0))
    elsewhere = nobody.statuses - nobody.of_page
    let_in = sum(n for status, n in elsewhere.items() if status < 400)
    yield Row("let in without a token", let_in, "", at_most(0), _summary(elsewhere))
    let_in = sum(n for status, n in known.statuses.items() if status < 400)
    yield Row("let in with a token", let_in, "", at_least(run.sizes.requests / 100))
    for name, text in shown.items():
        found = sum(text.lower().count(each.encode()) for each in (SECRET, SECRET[::-1]))
        yield Row(f"secrets in {name}", found, "", at_most(0), f"{len(text):,} bytes")
    for name in ("log", "spans"):
        named = shown[name].count(b"kv.token")
        yield Row(f"token's id in {name}", named, "", at_least(1))
    tracebacks = sum(text.count(b"Traceback") for text in shown.values())
    yield Row("tracebacks", tracebacks, "", at_most(0))


def _summary(statuses: Counter[int]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
