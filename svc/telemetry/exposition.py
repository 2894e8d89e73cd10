"""A scrape: read at once, rendered in a thread, so that the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector, CollectorRegistry

#: Below, compressing costs more than it saves.
GZIP_FROM_BYTES: Final = 1024


class Snapshot(Collector):
    """What a registry held at one moment; stands for it before prometheus-client's encoders."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families = list(registry.collect())

    def collect(self) -> Iterable[Metric]:
        return self._families


async def render(
    registry: CollectorRegistry, accept: str, accept_encoding: str
) -> tuple[bytes, dict[str, str]]:
    """Return the exposition in the format that the scraper asks for, and its headers."""
    try:
        encode, content_type = choose_encoder(accept)
    except TypeError:  # it compares versions by their parts, and one of these is no number
        encode, content_type = choose_encoder("")
    snapshot = Snapshot(registry)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    body = await asyncio.to_thread(encode, snapshot)
    if gzip_accepted(accept_encoding) and len(body) >= GZIP_FROM_BYTES:
        body = await asyncio.to_thread(gzip.compress, body, 6)
        headers["Content-Encoding"] = "gzip"
    return body, headers
