"""Query a Prometheus server, in bounded time and bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from ..evidence.counts import CounterSnapshot
from ..runner.ports import SourceFailed
from .aggregation import aggregate
from .promql import build_promql
from .query import Query
from .response import parse_response

#: A response for a few hundred pods is far smaller.
_MAX_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusServer:
    """The address (without ``/api/v1``), the token, and the limits of a query.

    A sample older than ``stale_seconds`` is not used; set it to a few scrape intervals.
    """

    url: str
    token: str = field(default="", repr=False)
    timeout_seconds: float = 5.0
    stale_seconds: float = 60.0


class PrometheusSource:
    """A Source that makes one instant query of raw counters per reading."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        server: PrometheusServer,
        query: Query,
        promql: str | None = None,
    ) -> None:
        """``promql`` is the expression to send, if it is not that of ``build_promql``."""
        self._session = session
        self._server = server
        self._query = query
        self._promql = promql or build_promql(query)
        #: Requests of the last reading that belong to neither release (Istio: "unknown").
        self.unattributed = 0

    async def read(self) -> CounterSnapshot:
        """Return all counters; raise SourceFailed if they can't be read."""
        status, body = await self.post("query", query=self._promql)
        found = aggregate(parse_response(status, body), self._query, self._server.stale_seconds)
        self.unattributed = found.unattributed
        return found.reading

    async def post(self, endpoint: str, **parameters: str) -> tuple[int, bytes]:
        """Send a query to ``query`` or ``query_range``; return the status and the body.

        Raise SourceFailed if there is no response in time, or if it is too large.
        """
        url, seconds = self._server.url, self._server.timeout_seconds
        try:
            async with self._session.post(
                f"{url.rstrip('/')}/api/v1/{endpoint}",
                data={**parameters, "timeout": f"{seconds:g}s"},
                allow_redirects=False,
            ) as response:
                if 300 <= response.status < 400:
                    location = response.headers.get("Location", "nowhere")
                    raise SourceFailed(f"{url} redirects to {location}: give that address")
                body = bytearray()
                async for chunk in response.content.iter_chunked(65536):
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise SourceFailed(
                            f"Prometheus' response has more than {_MAX_BYTES} bytes: narrow the"
                            " query by job or namespace"
                        )
                return response.status, bytes(body)
        except TimeoutError as error:
            raise SourceFailed(
                f"Prometheus at {url} didn't answer within {seconds:g} s: see whether it is"
                " overloaded, or raise the timeout"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceFailed(
                f"Prometheus at {url} can't be queried: {error or type(error).__name__}; check the"
                " address, and that it runs"
            ) from error


@contextlib.asynccontextmanager
async def open_source(
    server: PrometheusServer, query: Query, promql: str | None = None
) -> AsyncIterator[PrometheusSource]:
    """Open a source until the block ends; the first query is sent by the first ``read``."""
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=server.timeout_seconds), headers=headers
    ) as session:
        yield PrometheusSource(session, server, query, promql)
