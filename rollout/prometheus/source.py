"""Asks a Prometheus server, in bounded time and bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from ..evidence.counts import CounterSnapshot
from ..runner.ports import SourceFailed
from .aggregation import fold
from .promql import build_expression
from .query import Question
from .response import parse_answer

#: A few hundred pods' answer; more than that is another question than ours.
_MAX_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where Prometheus is (``/api/v1`` is added), and how long and how far back to ask.

    ``stale_seconds`` is the age from which a sample is no evidence any more: some scrape intervals.
    """

    url: str
    token: str = field(default="", repr=False)
    timeout_seconds: float = 5.0
    stale_seconds: float = 60.0


class PrometheusSource:
    """A Source: each reading is one instant query of raw counters."""

    def __init__(self, session: aiohttp.ClientSession, server: Server, question: Question) -> None:
        self._session = session
        self._server = server
        self._question = question
        self._expression = build_expression(question)
        #: Requests of the last reading that are neither release's, as Istio's of release "unknown".
        self.unattributed = 0

    async def read(self) -> CounterSnapshot:
        """Return all counters; raise SourceFailed if they can't be had."""
        status, body = await self._ask()
        folded = fold(parse_answer(status, body), self._question, self._server.stale_seconds)
        self.unattributed = folded.unattributed
        return folded.reading

    async def _ask(self) -> tuple[int, bytes]:
        url, seconds = self._server.url, self._server.timeout_seconds
        try:
            async with self._session.post(
                f"{url.rstrip('/')}/api/v1/query",
                data={"query": self._expression, "timeout": f"{seconds:g}s"},
                allow_redirects=False,
            ) as answer:
                if 300 <= answer.status < 400:
                    elsewhere = answer.headers.get("Location", "nowhere")
                    raise SourceFailed(f"{url} redirects to {elsewhere}: give that address")
                body = bytearray()
                async for chunk in answer.content.iter_chunked(65536):
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise SourceFailed(
                            f"Prometheus answers with more than {_MAX_BYTES} bytes: narrow the"
                            " question by job or namespace"
                        )
                return answer.status, bytes(body)
        except TimeoutError as error:
            raise SourceFailed(
                f"Prometheus at {url} didn't answer within {seconds:g} s: see whether it is"
                " overloaded, or give it longer"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceFailed(
                f"Prometheus at {url} can't be asked: {error or type(error).__name__}; check the"
                " address, and that it runs"
            ) from error


@contextlib.asynccontextmanager
async def open_source(server: Server, question: Question) -> AsyncIterator[PrometheusSource]:
    """Open a source until the block ends; nothing is asked before the first reading."""
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=server.timeout_seconds), headers=headers
    ) as session:
        yield PrometheusSource(session, server, question)
