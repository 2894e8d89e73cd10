"""Render a scrape: the metrics are read at once, then encoded in a thread beside the event loop."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector, CollectorRegistry

from . import protobuf_exposition

#: A smaller body is not worth compressing.
MIN_GZIP_BYTES: Final = 1024


class Snapshot(Collector):
    """The metrics of a registry at one moment, in a form that prometheus-client can encode."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families = list(registry.collect())

    def collect(self) -> Iterable[Metric]:
        return self._families


async def render(
    registry: CollectorRegistry, accept: str, accept_encoding: str
) -> tuple[bytes, dict[str, str]]:
    """Return the body in the format that ``Accept`` asks for, and its response headers."""
    encode: Callable[[Collector], bytes]
    try:
        encode, content_type = choose_encoder(accept)
    except TypeError:  # raised for a version in Accept that is not a number
        encode, content_type = choose_encoder("")
    if protobuf_exposition.is_wanted(accept):
        encode, content_type = protobuf_exposition.encode, protobuf_exposition.CONTENT_TYPE
    snapshot = Snapshot(registry)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    body = await asyncio.to_thread(encode, snapshot)
    if gzip_accepted(accept_encoding) and len(body) >= MIN_GZIP_BYTES:
        body = await asyncio.to_thread(gzip.compress, body, 6)
        headers["Content-Encoding"] = "gzip"
    return body, headers
