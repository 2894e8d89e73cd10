"""One ConfigMap that several processes change without losing each other's changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lightkube.resources.core_v1 import ConfigMap

from ..runner.state_store import StateFailed
from .api_client import ApiClient, ApiError, Conflict, Json, NotFound, Unavailable
from .kubeconfig import FIELD_MANAGER

#: How often to write if others write at the same time.
_MAX_ATTEMPTS: Final = 12
#: Takes the ConfigMap (None if absent); returns the merge patch to apply, None for no change.
Change = Callable[[Json | None], Json | None]


class SharedConfigMap:
    """Writes with optimistic concurrency: each write names the resourceVersion that was read."""

    def __init__(self, api: ApiClient, name: str) -> None:
        self._api = api
        self._name = name
        self.title = f"ConfigMap {api.namespace}/{name}"

    async def get(self) -> Json | None:
        """Return the ConfigMap, None if there is none; raise StateFailed."""
        try:
            return await self._api.get(ConfigMap, self._name)
        except NotFound:
            return None
        except ApiError as error:
            raise self._failed(error) from error

    async def update(self, change: Change) -> None:
        """Read, call ``change``, write; repeat if somebody wrote in between; raise StateFailed.

        A response may be lost, so ``change`` may be called with its own earlier result.
        """
        failed: ApiError | None = None
        for attempts in range(_MAX_ATTEMPTS):
            if attempts:
                await asyncio.sleep(self._api.backoff(attempts))
            found = await self.get()
            patch = change(found)
            if patch is None:
                return
            try:
                await self._write(found, patch)
            except (Conflict, NotFound, Unavailable) as error:
                failed = error
            except ApiError as error:
                raise self._failed(error) from error
            else:
                return
        raise self._failed(failed) from failed

    async def _write(self, found: Json | None, patch: Json) -> None:
        metadata = patch.get("metadata", {})
        if found is None:
            labels = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
            new = {"metadata": {**metadata, "name": self._name, "labels": labels}}
            await self._api.create(ConfigMap, patch | new)
        else:
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            await self._api.merge_patch(
                ConfigMap, self._name, patch | {"metadata": metadata | version}
            )

    def _failed(self, error: ApiError | None) -> StateFailed:
        return StateFailed(
            f"{self.title} can't be read or written ({error}); check that the API server answers,"
            f" and that you may get, create and patch configmaps in {self._api.namespace}"
        )


def data_of(found: Json | None, key: str) -> str | None:
    """Return the value of a data key, None if it is absent."""
    return None if found is None else (found.get("data") or {}).get(key)


def annotation_of(found: Json | None, key: str) -> str | None:
    """Return the value of an annotation, None if it is absent."""
    return None if found is None else (found["metadata"].get("annotations") or {}).get(key)
