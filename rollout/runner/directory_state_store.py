"""Keeps a rollout's state in a local directory: atomic files, and a lock of the kernel."""

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
    ControlCommand,
    PendingCommand,
    StateCorrupt,
    StateFailed,
    StateHeld,
    check_may_replace,
    read_command,
    read_state,
    repeats_verdict,
    write_command,
    write_event,
    write_state,
)

_PRIVATE: Final = 0o600


class DirectoryStateStore:
    """A StateStore in the files ``state.json``, ``order.json`` and ``events.jsonl``.

    Several processes may read it. The directory must be on a local file system, because file locks
    are not reliable on network file systems. ``order.json`` holds the pending control command.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = directory / "state.json"
        self._command = directory / "order.json"
        self._events = directory / "events.jsonl"
        self._held = False

    async def load(self) -> dict[str, Any] | None:
        """Return the last saved state, None if there is none."""
        text = await asyncio.to_thread(_read, self._state)
        return None if text is None else read_state(text, str(self._state))

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state: write and flush a new file, then rename it over the old one."""
        if not self._held:
            raise StateHeld(f"{self._directory} is not held by this runner; call hold first")
        await asyncio.to_thread(_replace, self._state, write_state(state))

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the log, unless it is the verdict that the log ends with."""
        await asyncio.to_thread(_append, self._events, event)

    async def pending_command(self) -> PendingCommand | None:
        """Return the command that no runner has acknowledged yet."""
        return await asyncio.to_thread(self._pending)

    async def send_command(self, command: ControlCommand) -> None:
        """Send a command to the runner."""
        await asyncio.to_thread(self._send, command)

    async def acknowledge(self, pending: PendingCommand) -> None:
        """Remove a command that was carried out. A newer one stays pending."""
        await asyncio.to_thread(self._remove, pending)

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Be the only runner; the kernel releases the lock if this process dies."""
        with _raising_state_failed(self._directory):
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

    def why_not_held(self) -> str:
        """Return an empty text: the kernel's lock can't be lost."""
        return ""

    def _pending(self) -> PendingCommand | None:
        text = _read(self._command)
        return None if text is None else read_command(text, str(self._command))

    def _send(self, command: ControlCommand) -> None:
        with _raising_state_failed(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        with _locked(self._directory / "order.lock", wait=True):
            # A damaged command is replaced: no runner can carry it out.
            with contextlib.suppress(StateCorrupt):
                check_may_replace(self._pending(), command)
            _replace(self._command, write_command(command))

    def _remove(self, pending: PendingCommand) -> None:
        with (
            _locked(self._directory / "order.lock", wait=True),
            _raising_state_failed(self._command),
        ):
            if self._pending() == pending:
                self._command.unlink()


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[int]:
    with _raising_state_failed(path):
        # No ``with``: the lock lasts as long as the descriptor is open, for the whole block.
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
        owner = json.loads(note)
        holder = f"process {owner['pid']} on {owner['host']}"
    except (ValueError, LookupError, TypeError):  # it has the lock, but has not written yet
        holder = "another process"
    return (
        f"{holder} runs the rollout in {path.parent}; stop it first, or send it pause, resume"
        " or abort"
    )


def _read(path: Path) -> str | None:
    with _raising_state_failed(path):
        try:
            return path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return None


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically: even after a power cut it has the old text or the new one."""
    # All writers use one name, so that no stale files remain. A writer always holds the lock.
    beside = path.with_name(f".{path.name}.new")
    with _raising_state_failed(path):
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_directory(path.parent)


def _append(path: Path, event: Mapping[str, Any]) -> None:
    with _raising_state_failed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not repeats_verdict(_cut_incomplete_line(file), event):
                file.write(write_event(event).encode())
                file.flush()
            # Also what a killed writer has left: the state may soon rely on it.
            os.fsync(file.fileno())


def _cut_incomplete_line(file: BufferedRandom) -> str:
    """Remove a last line without newline, which a killed writer has left incomplete.

    Return the line before it. The file is then at its end.
    """
    end = _line_start(file, file.seek(0, os.SEEK_END))
    file.truncate(end)
    start = _line_start(file, max(0, end - 1))
    file.seek(start)
    return file.read(end - start).decode(errors="replace")


def _line_start(file: BufferedRandom, end: int) -> int:
    """Return where the line begins that goes up to ``end``."""
    while end:
        size = min(end, 4096)
        file.seek(end - size)
        newline = file.read(size).rfind(b"\n")
        if newline >= 0:
            return end - size + newline + 1
        end -= size
    return 0


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _raising_state_failed(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateFailed(
            f"{path}: {error.strerror}; fix that and run the command again"
        ) from error
