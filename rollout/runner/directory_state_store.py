"""A rollout's state in a directory of this machine: atomic files, and a lock that dies with us."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from io import BufferedRandom
from pathlib import Path
from typing import Any, Final

from .state_store import (
    Given,
    Order,
    StateCorrupt,
    StateFailed,
    StateHeld,
    may_replace,
    read_events,
    read_order,
    read_state,
    write_event,
    write_order,
    write_state,
)

_PRIVATE: Final = 0o600


class DirectoryState:
    """Keeps ``state.json``, ``order.json`` and ``events.jsonl``; several processes may read it.

    The directory has to be on a local file system: locks of network file systems are not trusted.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = directory / "state.json"
        self._order = directory / "order.json"
        self._events = directory / "events.jsonl"
        self._held = False

    async def load(self) -> dict[str, Any] | None:
        """Return the state saved last, None if there never was one."""
        text = await asyncio.to_thread(_read, self._state)
        return None if text is None else read_state(text, str(self._state))

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state: a new file, flushed to the disk, takes the old one's name."""
        if not self._held:
            raise StateHeld(f"{self._directory} is not held by this runner; hold it first")
        await asyncio.to_thread(_replace, self._state, write_state(state))

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the history."""
        await asyncio.to_thread(_append, self._events, write_event(event))

    async def events(self) -> list[dict[str, Any]]:
        """Return the history, oldest first."""
        text = await asyncio.to_thread(_read, self._events)
        return read_events(text or "", str(self._events))

    async def order(self) -> Given | None:
        """Return the order that stands."""
        return await asyncio.to_thread(self._standing)

    async def give_order(self, order: Order) -> None:
        """Ask something of the runner."""
        await asyncio.to_thread(self._give, order)

    async def obeyed(self, given: Given) -> None:
        """Let an order stand no longer; a newer one stays."""
        await asyncio.to_thread(self._forget, given)

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Be the only runner; the kernel lets go if we die."""
        with _translated(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        with _locked(self._directory / "runner.lock", wait=False) as lock:
            os.ftruncate(lock, 0)
            os.pwrite(
                lock, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0
            )
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def _standing(self) -> Given | None:
        text = _read(self._order)
        return None if text is None else read_order(text, str(self._order))

    def _give(self, order: Order) -> None:
        with _translated(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        with _locked(self._directory / "order.lock", wait=True):
            # A damaged order is replaced like any other: nobody can obey it.
            with contextlib.suppress(StateCorrupt):
                may_replace(self._standing(), order)
            _replace(self._order, write_order(order))

    def _forget(self, given: Given) -> None:
        with _locked(self._directory / "order.lock", wait=True), _translated(self._order):
            if self._standing() == given:
                self._order.unlink()


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[int]:
    with _translated(path):
        # Not closed by with: the lock lives as long as the descriptor, across the whole block.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise StateHeld(_held_by(path, os.pread(descriptor, 4096, 0))) from error
        yield descriptor
    finally:
        os.close(descriptor)


def _held_by(path: Path, note: bytes) -> str:
    try:
        said = json.loads(note)
        holder = f"process {said['pid']} on {said['host']}"
    except (ValueError, LookupError, TypeError):  # it has the lock and has not signed yet
        holder = "another process"
    return f"{holder} runs the rollout in {path.parent}; end it first, or give it an order"


def _read(path: Path) -> str | None:
    with _translated(path):
        try:
            return path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return None


def _replace(path: Path, text: str) -> None:
    """Let ``path`` have the old text or the new one at any moment, a power cut included."""
    # One name for all writers, so that nothing is left behind: whoever writes has the lock.
    beside = path.with_name(f".{path.name}.new")
    with _translated(path):
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_directory(path.parent)


def _append(path: Path, line: str) -> None:
    with _translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _cut_torn(file)
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())


def _cut_torn(file: BufferedRandom) -> None:
    """Take away a last line without an end: who wrote it died, and ours must not go on it."""
    end = file.seek(0, os.SEEK_END)
    while end:
        size = min(end, 4096)
        file.seek(end - size)
        newline = file.read(size).rfind(b"\n")
        if newline >= 0:
            end += newline + 1 - size
            break
        end -= size
    file.truncate(end)
    file.seek(end)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateFailed(f"{path}: {error.strerror}; mend it and run again") from error
