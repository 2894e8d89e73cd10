"""The hold on a rollout: a Lease object that one process renews. Clocks need not agree."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lightkube import AsyncClient

from ..runner.state_store import StateFailed, StateHeld, StateTaken
from .api_client import ApiClient, ApiError, Conflict, Forbidden, Json, NotFound
from .cluster_client import FIELD_MANAGER
from .lease_object import (
    LEASE,
    PROCESS,
    duration_of,
    process_of,
    record_of,
    spec_of,
    transitions_of,
    version_of,
)
from .process_identity import has_ended, identify_process

#: A holder may act for this part of the duration after its last renewal was sent.
_SURE: Final = 2 / 3
_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """When the lease expires and how often the holder renews it, in seconds.

    A holder that can't renew changes nothing after two thirds of ``duration_seconds``. Another
    process takes over only after it has seen no renewal for the whole ``duration_seconds``, by its
    own clock. ``patience_seconds``: how long to ask for the lease at first while the server refuses
    or can't answer.
    """

    duration_seconds: float = 15.0
    renew_seconds: float = 3.0
    patience_seconds: float = 120.0


def boot_clock() -> float:
    """Return seconds by a clock that never jumps, and goes on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # pragma: no cover - not Linux


class Lease:
    """Acquires, renews and releases the Lease ``tallykv-rollout-`` + the VirtualService's name.

    Give it a client of its own, so that a renewal waits for no other request.
    """

    def __init__(
        self,
        client: AsyncClient,
        namespace: str,
        virtual_service: str,
        times: LeaseTimes | None = None,
        *,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``say`` is called with a sentence when the process has to wait."""
        self._api = ApiClient(client, namespace, retry_seconds=0, backoff_seconds=0.2)
        self._name = f"tallykv-rollout-{virtual_service}"
        self._title = f"Lease {namespace}/{self._name}"
        self._times = times or LeaseTimes()
        self._say = say
        self._said = ""
        self._identity = f"process {os.getpid()} on {socket.gethostname()} ({secrets.token_hex(4)})"
        #: Until when this process may act, by ``boot_clock``; 0 if it doesn't hold the lease.
        self._sure_until = 0.0
        self._why = ""
        self._version: str | None = None
        self._transitions = 0

    def why_not_held(self) -> str:
        """Return why this process may not act now, an empty text if it may."""
        if boot_clock() < self._sure_until:
            return ""
        why = f" ({self._why})" if self._why else ""
        return (
            f"{self._title} could not be renewed{why}: another runner may have taken over, so this"
            " one changes nothing until it holds the lease again"
        )

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold the lease inside the block; raise StateHeld if another process holds it.

        If another process takes it, the block is cancelled and StateTaken is raised. While it can't
        be renewed, the block goes on, and ``why_not_held`` says so.
        """
        await self._acquire()
        runner = asyncio.current_task()
        assert runner is not None  # noqa: S101 - a coroutine runs in one
        taken: list[str] = []
        keeping = asyncio.create_task(self._keep(runner, taken))
        try:
            yield
        except asyncio.CancelledError as error:
            if taken and runner.uncancel() == 0:
                raise StateTaken(f"{taken[0]} has taken {self._title}") from error
            raise
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if not taken:
                await self._release()
            self._sure_until = 0.0

    async def _acquire(self) -> None:
        """Take a free lease; watch a held one until it has expired."""
        seen: object = None
        since = asked = boot_clock()
        while True:
            try:
                found = await self._read()
                holder = spec_of(found).get("holderIdentity")
                if holder and holder != self._identity and not has_ended(process_of(found)):
                    record = record_of(found)
                    duration = duration_of(found, self._times.duration_seconds)
                    if seen is None:
                        seen, since = record, boot_clock()
                        self._tell(
                            f"{holder} has the rollout; if it doesn't show a sign of life within"
                            f" {duration:g} s, this runner takes over"
                        )
                    if record != seen:
                        raise _held_by(str(holder))
                    if boot_clock() - since < duration:
                        await asyncio.sleep(min(0.5, duration / 10))
                        continue
                if await self._write(found):
                    return
            except ApiError as error:
                if boot_clock() - asked > self._times.patience_seconds:
                    raise self._failed(error) from error
                self._tell(f"{self._failed(error)}; asking again")
                await asyncio.sleep(_RETRY_SECONDS)

    async def _keep(self, runner: asyncio.Task[Any], taken: list[str]) -> None:
        """Renew the lease until cancelled; if another process has it, cancel the runner."""
        while True:
            sure = boot_clock() < self._sure_until
            await asyncio.sleep(
                self._times.renew_seconds if sure else min(1.0, self._times.renew_seconds)
            )
            try:
                if await self._renew():
                    continue
                found = await self._read()
                holder = spec_of(found).get("holderIdentity")
                is_other = holder and holder != self._identity
                if (is_other and not has_ended(process_of(found))) or (
                    # Another process had it meanwhile, and may have ended the rollout.
                    found is not None and transitions_of(found) > self._transitions
                ):
                    taken.append(str(holder or "another runner"))
                    self._sure_until = 0.0
                    runner.cancel()
                    return
                # It was deleted, or its holder was removed: nobody else has it.
                await self._write(found)
            except ApiError as error:
                self._why = str(error)

    async def _renew(self) -> bool:
        """Renew with the version known; return False if the object has changed."""
        try:
            return await self._put(self._version, {})
        except NotFound:
            return False

    async def _write(self, found: Json | None) -> bool:
        """Make this process the holder; return False if the object has changed meanwhile."""
        spec: Json = {}
        if spec_of(found).get("holderIdentity") != self._identity:
            transitions = transitions_of(found) + 1
            spec = {"acquireTime": self._time(), "leaseTransitions": transitions}
        return await self._put(None if found is None else version_of(found), spec)

    async def _put(self, version: str | None, more: Json) -> bool:
        started = boot_clock()
        spec = more | {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._times.duration_seconds)),
            "renewTime": self._time(),
        }
        metadata: Json = {"annotations": {PROCESS: identify_process()}}
        try:
            if version is None:
                metadata["labels"] = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
                metadata["name"] = self._name
                stored = await self._api.create(LEASE, {"metadata": metadata, "spec": spec})
            else:
                metadata["resourceVersion"] = version
                stored = await self._api.merge_patch(
                    LEASE, self._name, {"metadata": metadata, "spec": spec}
                )
        except Conflict:
            return False
        self._version = version_of(stored)
        self._transitions = transitions_of(stored)
        self._sure_until = started + self._times.duration_seconds * _SURE
        self._why = ""
        return True

    async def _read(self) -> Json | None:
        try:
            return await self._api.get(LEASE, self._name)
        except NotFound:
            return None

    async def _release(self) -> None:
        # If this fails, the lease expires; at the next start on this machine, it is free at once.
        with contextlib.suppress(ApiError):
            # Read first: a renewal that was cancelled may have been applied.
            found = await self._read()
            if found is not None and spec_of(found).get("holderIdentity") == self._identity:
                metadata = {"resourceVersion": version_of(found)}
                free = {"metadata": metadata, "spec": {"holderIdentity": None}}
                await self._api.merge_patch(LEASE, self._name, free)

    def _tell(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._say(sentence)

    def _time(self) -> str:
        """Return the time by the server's clock. Nothing depends on it: it is for people."""
        return datetime.fromtimestamp(self._api.server_time(), UTC).strftime(
            "%Y-%m-%dT%H:%M:%S.%fZ"
        )

    def _failed(self, error: ApiError) -> StateFailed:
        remedy = "see whether kubectl get works"
        if isinstance(error, Forbidden):
            remedy = (
                f"you need get and patch of the lease {self._name}, and create if it isn't there;"
                " kustomize/components/rollout-runner has both, and an empty lease"
            )
        return StateFailed(f"{self._title} can't be read or written ({error}); {remedy}")


def _held_by(holder: str) -> StateHeld:
    return StateHeld(
        f"{holder} runs the rollout; end it first, or control it: tallykv-rollout pause, resume"
        " or abort"
    )
