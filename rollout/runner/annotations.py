"""Marks a rollout's steps and its verdict in Grafana; without Grafana nothing is lost but them."""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from .events import VERDICTS, Event, EventKind

TAG: Final = "tallykv-rollout"
_MARKED: Final = frozenset({EventKind.STARTED, EventKind.STEP, *VERDICTS})
#: Marks under way at most; a Grafana that hangs costs no more memory than that.
_MAX_PENDING: Final = 8
_TIMEOUT_SECONDS: Final = 5.0

log = logging.getLogger("rollout.runner.annotations")


@dataclass(frozen=True, slots=True)
class Grafana:
    """Its address, and a service account's token that may write annotations."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Grafana | None:
        """Read GRAFANA_URL and GRAFANA_TOKEN; None unless both are there."""
        url, token = environ.get("GRAFANA_URL", ""), environ.get("GRAFANA_TOKEN", "")
        return cls(url, token) if url and token else None


class Annotations:
    """Posts in the background: a rollout never waits for Grafana, and never fails with it."""

    def __init__(
        self, session: aiohttp.ClientSession, grafana: Grafana, tags: Sequence[str]
    ) -> None:
        self._session = session
        self._url = f"{grafana.url.rstrip('/')}/api/annotations"
        self._tags = [TAG, *tags]
        self._pending: set[asyncio.Task[None]] = set()
        self._complained = False

    def tell(self, event: Event) -> None:
        """Mark the event, if it is one of those that change something."""
        if event.kind not in _MARKED:
            return
        if len(self._pending) >= _MAX_PENDING:
            self._complain("too many marks are under way")
            return
        task = asyncio.get_running_loop().create_task(
            self._post(build_annotation(event, self._tags))
        )
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def finish(self) -> None:
        """Wait until all marks are made or given up; none takes longer than its timeout."""
        await asyncio.gather(*self._pending)

    async def _post(self, body: Mapping[str, Any]) -> None:
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as answer:
                if answer.status != 200:
                    self._complain(f"HTTP {answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._complain(str(error) or type(error).__name__)

    def _complain(self, why: str) -> None:
        if not self._complained:  # once is enough to be seen
            self._complained = True
            log.warning("annotations are lost", extra={"why": why, "url": self._url})


def build_annotation(event: Event, tags: Sequence[str]) -> dict[str, Any]:
    """Build the body of POST /api/annotations; Grafana shows its text as HTML."""
    share = "" if event.share is None else f" ({event.share:.4g} of the requests to the canary)"
    what = event.kind.value.replace("_", " ")
    words = [f"{event.rollout}: {what} {event.step or ''}".rstrip() + share, event.detail]
    return {
        "time": round(event.time * 1000),
        "tags": [*tags, f"rollout:{event.rollout}", event.kind.value],
        "text": html.escape("\n".join(filter(None, words))),
    }


@contextlib.asynccontextmanager
async def open_annotations(
    grafana: Grafana, tags: Sequence[str] = ()
) -> AsyncIterator[Annotations]:
    """Open until the block ends; waits then for marks under way, each for its timeout at most.

    ``tags`` are added to each mark's: ``version:1.5.0``, ``track:canary``.
    """
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
        headers={"Authorization": f"Bearer {grafana.token}"},
    ) as session:
        annotations = Annotations(session, grafana, tags)
        try:
            yield annotations
        finally:
            await annotations.finish()
