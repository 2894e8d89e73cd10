"""Posts a rollout's steps and verdict to Grafana as annotations.

A verdict may come again, from a runner that goes on after a kill, and Grafana keeps all that it
gets. So a verdict has its key as a tag, and is posted only if no annotation has that tag.
"""

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
_ANNOTATED: Final = frozenset({EventKind.STARTED, EventKind.STEP, *VERDICTS})
#: The most requests at a time. It limits memory when Grafana does not answer.
_MAX_PENDING: Final = 8
_TIMEOUT_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grafana:
    """Grafana's URL, and the token of a service account that may write annotations."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Grafana | None:
        """Read GRAFANA_URL and GRAFANA_TOKEN; return None unless both are set."""
        url, token = environ.get("GRAFANA_URL", ""), environ.get("GRAFANA_TOKEN", "")
        return cls(url, token) if url and token else None


class Annotations:
    """Posts annotations in the background. The rollout never waits for Grafana or fails with it."""

    def __init__(
        self, session: aiohttp.ClientSession, grafana: Grafana, tags: Sequence[str]
    ) -> None:
        self._session = session
        self._url = f"{grafana.url.rstrip('/')}/api/annotations"
        self._tags = [TAG, *tags]
        self._pending: set[asyncio.Task[None]] = set()
        self._warned = False

    def post_event(self, event: Event, key: str) -> None:
        """Post an annotation if the event is a start, a step or a verdict."""
        if event.kind not in _ANNOTATED:
            return
        if len(self._pending) >= _MAX_PENDING:
            self._warn("too many requests to Grafana are pending")
            return
        task = asyncio.get_running_loop().create_task(self._post_once(event, key))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def finish(self) -> None:
        """Wait for all pending requests; each ends at its timeout."""
        await asyncio.gather(*self._pending)

    async def _post_once(self, event: Event, key: str) -> None:
        if event.kind not in VERDICTS:
            await self._post(build_annotation(event, self._tags))
        elif not await self._has(tag := f"id:{key}"):
            await self._post(build_annotation(event, [*self._tags, tag]))

    async def _has(self, tag: str) -> bool:
        """Return True if Grafana has an annotation with a tag; False also if it can't be asked."""
        question = [("tags", TAG), ("tags", tag), ("limit", "1")]
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with self._session.get(
                self._url, params=question, allow_redirects=False
            ) as response:
                return response.status == 200 and bool(await response.json())
        return False

    async def _post(self, body: Mapping[str, Any]) -> None:
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as response:
                if response.status != 200:
                    self._warn(f"HTTP {response.status}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._warn(str(error) or type(error).__name__)

    def _warn(self, why: str) -> None:
        if not self._warned:  # log only the first failure
            self._warned = True
            log.warning("annotations are lost", extra={"why": why, "url": self._url})


def build_annotation(event: Event, tags: Sequence[str]) -> dict[str, Any]:
    """Build the body of POST /api/annotations. Grafana renders the text as HTML."""
    share = "" if event.share is None else f" ({event.share:.4g} of the requests to the canary)"
    kind = event.kind.value.replace("_", " ")
    lines = [f"{event.rollout}: {kind} {event.step or ''}".rstrip() + share, event.detail]
    return {
        "time": round(event.time * 1000),
        "tags": [*tags, f"rollout:{event.rollout}", event.kind.value],
        "text": html.escape("\n".join(filter(None, lines))),
    }


@contextlib.asynccontextmanager
async def open_annotations(
    grafana: Grafana, tags: Sequence[str] = ()
) -> AsyncIterator[Annotations]:
    """Open the session until the block ends, then wait for pending requests up to their timeout.

    ``tags`` are added to each annotation, for example ``version:1.5.0`` or ``track:canary``.
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
