"""All comparisons: created by the configuration or by requests, polled, saved, and expired."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ..prometheus.source import PrometheusServer, open_source
from ..runner.directory_state_store import DirectoryStateStore
from ..runner.ports import SourceFailed
from ..runner.state_store import StateFailed, StateHeld
from .comparison import Clocks, Comparison
from .definition import (
    ComparisonSpec,
    DefinitionInvalid,
    NamedComparison,
    RequestedComparison,
    parse_definition,
)
from .rising_failures import RisingFailures

log: Final = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 30.0


class ComparisonUnknown(Exception):
    """There is no such comparison; the message says how to create it."""


class DefinitionConflict(Exception):
    """A request defines a comparison otherwise than it is defined; the message says what to do."""


class TooMany(Exception):
    """No more comparisons are allowed; the message names the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``idle_seconds``: a comparison that nobody asked for so long ends, and forgets its run."""

    comparisons: int = 100
    idle_seconds: float = 3600.0


@dataclass(slots=True)
class _Live:
    comparison: Comparison
    server: PrometheusServer
    store: DirectoryStateStore
    #: What a request defined, as it was sent; None if the configuration defines it.
    definition: Mapping[str, Any] | None
    #: Gives back the state's lock.
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    #: One save at a time.
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    poll: asyncio.Task[None] | None = None
    #: Set when a poll has ended; ``first_reading`` waits for it.
    polled: asyncio.Event = field(default_factory=asyncio.Event)


class Comparisons:
    """The comparisons of one server. ``directory`` holds a directory with the state of each."""

    def __init__(
        self,
        configured: Mapping[str, NamedComparison],
        server: PrometheusServer | None,
        directory: Path,
        limits: Limits,
        clocks: Clocks,
        token: str = "",
    ) -> None:
        """``server`` is for comparisons that name none; without it, requests can't define any.

        ``token`` is for the servers that comparisons name.
        """
        self._configured = configured
        self._server = server
        self._directory = directory
        self._limits = limits
        self._clocks = clocks
        self._token = token
        self._live: dict[str, _Live] = {}
        #: One change of the set of comparisons at a time.
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Continue the saved comparisons; save all and stop when the block ends.

        Raise StateFailed if the state can't be read, or if another judge uses it.
        """
        try:
            for path in sorted(self._directory.glob("*/state.json")):
                await self._restore(path.parent.name)
            sweeper = asyncio.create_task(self._sweep(), name="sweep")
            try:
                yield
            finally:
                await _cancel(sweeper)
        finally:
            for name in list(self._live):
                await self._stop(name)

    def __iter__(self) -> Any:
        """Yield the name and the comparison of each that has a run."""
        return iter([(name, live.comparison) for name, live in self._live.items()])

    async def find(self, name: str, run: str | None) -> Comparison:
        """Return a comparison, and start its run if it has none or another.

        Without ``run``, its present run goes on. Raise ComparisonUnknown, TooMany or StateFailed.
        """
        async with self._lock:
            await self._end_idle()
            live = self._live.get(name)
            if live is None or run not in (None, live.comparison.run):
                spec, definition = self._spec_of(name)
                live = await self._start(name, spec, definition, run or "")
            live.comparison.asked_at = self._clocks.wall()
        return live.comparison

    async def define(self, name: str, body: Any) -> tuple[Comparison, bool]:
        """Create a comparison as ``body`` defines it, or continue it; return True if it is new.

        Raise DefinitionInvalid, DefinitionConflict, TooMany or StateFailed.
        """
        requested = parse_definition(RequestedComparison, body)
        if self._server is None:
            raise DefinitionInvalid(
                "the judge has no Prometheus for comparisons that requests define; start it with"
                " --prometheus"
            )
        definition = {key: value for key, value in body.items() if key != "run"}
        spec = parse_definition(ComparisonSpec, definition)
        async with self._lock:
            await self._end_idle()
            if name in self._configured:
                raise DefinitionConflict(
                    f"{name} is defined by the configuration; ask for it without a body"
                )
            live = self._live.get(name)
            is_new = live is None or requested.run not in (None, live.comparison.run)
            if live is not None and not is_new and live.comparison.spec != spec:
                raise DefinitionConflict(
                    f"{name} has another definition in this run; give another run, or delete it"
                )
            if live is None or is_new:
                live = await self._start(name, spec, definition, requested.run or "")
            live.comparison.asked_at = self._clocks.wall()
        return live.comparison, is_new

    async def first_reading(self, name: str) -> None:
        """Wait until a comparison was polled once."""
        if live := self._live.get(name):
            await live.polled.wait()

    async def save(self, name: str) -> None:
        """Save a comparison now; raise StateFailed."""
        if live := self._live.get(name):
            await _save(live)

    async def forget(self, name: str) -> None:
        """End the run of a comparison and delete its state. Idempotent."""
        async with self._lock:
            await self._forget(name)

    def _spec_of(self, name: str) -> tuple[ComparisonSpec, Mapping[str, Any] | None]:
        if spec := self._configured.get(name):
            return spec, None
        if live := self._live.get(name):
            return live.comparison.spec, live.definition
        raise ComparisonUnknown(
            f"there is no comparison {name}: define it in the configuration, or by a POST"
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(self._limits.idle_seconds, _SWEEP_SECONDS))
            async with self._lock:
                await self._end_idle()

    async def _end_idle(self) -> None:
        oldest = self._clocks.wall() - self._limits.idle_seconds
        for name, live in list(self._live.items()):
            if live.comparison.asked_at < oldest:
                log.info("%s: nobody asked for %g s; ended", name, self._limits.idle_seconds)
                await self._forget(name)

    async def _forget(self, name: str) -> None:
        if name in self._live:
            await self._stop(name, save=False)
            await asyncio.to_thread(shutil.rmtree, self._directory / name, ignore_errors=True)

    async def _start(
        self, name: str, spec: ComparisonSpec, definition: Mapping[str, Any] | None, run: str
    ) -> _Live:
        if name not in self._live and len(self._live) >= self._limits.comparisons:
            raise TooMany(
                f"{self._limits.comparisons} comparisons are running; delete one, or raise"
                " --max-comparisons"
            )
        await self._forget(name)
        live = await self._run(name, Comparison(spec, run, self._clocks), definition)
        log.info("%s: run %r started", name, run)
        return live

    async def _restore(self, name: str) -> None:
        saved = await DirectoryStateStore(self._directory / name).load()
        if saved is None:  # pragma: no cover - the file is there
            return
        definition = saved.get("definition")
        try:
            spec: ComparisonSpec = (
                self._configured[name]
                if definition is None
                else parse_definition(ComparisonSpec, definition)
            )
            comparison = Comparison.load(spec, saved["comparison"], self._clocks)
        except (ValueError, LookupError, DefinitionInvalid) as error:
            log.warning("%s: its saved evidence is not used: %r", name, error)
            await asyncio.to_thread(shutil.rmtree, self._directory / name, ignore_errors=True)
            return
        await self._run(name, comparison, definition)

    async def _run(
        self, name: str, comparison: Comparison, definition: Mapping[str, Any] | None
    ) -> _Live:
        server = self._server
        if (configured := self._configured.get(name)) and configured.prometheus:
            server = PrometheusServer(url=configured.prometheus, token=self._token)
        if server is None:  # pragma: no cover - the configuration is checked
            raise ComparisonUnknown(f"{name} names no Prometheus")
        stale = comparison.spec.stale.total_seconds()
        server = replace(server, stale_seconds=stale)
        live = _Live(comparison, server, DirectoryStateStore(self._directory / name), definition)
        try:
            await live.stack.enter_async_context(live.store.hold())
        except StateHeld:
            raise StateHeld(
                f"another judge uses {self._directory / name}; stop it, or give each its own"
                " --state"
            ) from None
        await _save(live)
        live.poll = asyncio.create_task(_poll(name, live), name=f"poll {name}")
        self._live[name] = live
        return live

    async def _stop(self, name: str, *, save: bool = True) -> None:
        live = self._live.pop(name)
        async with live.stack:
            if live.poll is not None:
                await _cancel(live.poll)
            if save:
                await _save(live)


async def _poll(name: str, live: _Live) -> None:
    """Read the counters of a comparison at its interval, for as long as it lives."""
    query, promql = live.comparison.spec.build_query()
    interval = live.comparison.spec.interval.total_seconds()
    async with open_source(live.server, query, promql) as opened:
        source = RisingFailures(opened)
        while True:
            try:
                live.comparison.observe(await source.read())
            except (SourceFailed, ValueError) as failed:  # ValueError: counts that can't be true
                live.comparison.fail(str(failed))
            live.polled.set()
            try:
                await _save(live)
            except StateFailed as failed:
                log.warning("%s: the evidence is not saved: %s", name, failed)
            await asyncio.sleep(interval)


async def _save(live: _Live) -> None:
    async with live.saving:
        state = {"definition": live.definition, "comparison": live.comparison.dump()}
        writing = asyncio.ensure_future(live.store.save(state))
        try:
            await asyncio.shield(writing)
        finally:
            # A thread writes, and a thread can't be cancelled.
            if not writing.done():
                await asyncio.wait([writing])


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
