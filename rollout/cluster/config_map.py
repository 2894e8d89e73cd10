"""One ConfigMap that several processes change: no change is ever lost to another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lightkube import AsyncClient
from lightkube.resources.core_v1 import ConfigMap

from ..runner.state_store import StateFailed
from .api_client import Absent, Api, Away, Conflict, Json, NoAnswer, backoff, patiently
from .kubeconfig import FIELD_MANAGER

#: PendingCommand the ConfigMap or None, says what to merge into it; None changes nothing.
Decide = Callable[[Json | None], Json | None]


class SharedConfigMap:
    """Every change names the resourceVersion that it is the change of."""

    def __init__(
        self,
        client: AsyncClient,
        namespace: str,
        name: str,
        *,
        away_seconds: float,
        pause_seconds: float,
        tries: int,
    ) -> None:
        self._api = Api(client, namespace)
        self._name = name
        self.title = f"ConfigMap {namespace}/{name}"
        self._away_seconds = away_seconds
        self.pause_seconds = pause_seconds
        self._tries = tries

    async def find(self) -> Json | None:
        """Return it, None if there is none; raise StateFailed."""
        try:
            return await patiently(
                lambda: self._api.get(ConfigMap, self._name),
                seconds=self._away_seconds,
                pause_seconds=self.pause_seconds,
            )
        except Absent:
            return None
        except NoAnswer as error:
            raise self._failed(error) from error

    async def update(self, decide: Decide) -> None:
        """Read, decide, write, and again if anybody wrote in between; raise StateFailed.

        An answer may be lost, so ``decide`` may be asked about what it decided itself.
        """
        failed: NoAnswer | None = None
        for tries in range(self._tries):
            if tries:
                await asyncio.sleep(backoff(tries, self.pause_seconds))
            found = await self.find()
            changes = decide(found)
            if changes is None:
                return
            try:
                await self._write(found, changes)
            except (Conflict, Absent, Away) as error:
                failed = error
            except NoAnswer as error:
                raise self._failed(error) from error
            else:
                return
        raise self._failed(failed) from failed

    async def _write(self, found: Json | None, changes: Json) -> None:
        metadata = changes.get("metadata", {})
        if found is None:
            labels = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
            new = {"metadata": {**metadata, "name": self._name, "labels": labels}}
            await self._api.create(ConfigMap, changes | new)
        else:
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            await self._api.merge(ConfigMap, self._name, changes | {"metadata": metadata | version})

    def _failed(self, error: NoAnswer | None) -> StateFailed:
        return StateFailed(
            f"{self.title} can't be read or written ({error}); it takes get, create and patch on"
            f" configmaps in {self._api.namespace} and an API server that answers"
        )


def data_of(found: Json | None, key: str) -> str | None:
    """Return what is kept under a key."""
    return None if found is None else (found.get("data") or {}).get(key)


def note_on(found: Json | None, key: str) -> str | None:
    """Return an annotation."""
    return None if found is None else (found["metadata"].get("annotations") or {}).get(key)
