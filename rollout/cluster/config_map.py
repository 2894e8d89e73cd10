"""One ConfigMap that several processes change without losing each other's changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lightkube.generic_resource import create_namespaced_resource

from ..runner.state_store import StateFailed
from .api_client import (
    ApiClient,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    Json,
    NotFound,
    Unavailable,
)
from .cluster_client import FIELD_MANAGER

# Plain JSON is all that is needed; lightkube's own models take a fifth of a second to import.
_CONFIG_MAP: Final = create_namespaced_resource("", "v1", "ConfigMap", "configmaps")
#: Takes the ConfigMap (None if absent); returns the merge patch to apply, None for no change.
Change = Callable[[Json | None], Json | None]


class StateFull(StateFailed):
    """The ConfigMap has no room for the change."""


class SharedConfigMap:
    """Writes with optimistic concurrency: each write names the resourceVersion that was read.

    The object is remembered, so that a write is usually one request.
    """

    def __init__(self, api: ApiClient, name: str, *, retry_seconds: float) -> None:
        """``retry_seconds``: how long to repeat a write that meets others or no server."""
        self._api = api
        self._name = name
        self._retry_seconds = retry_seconds
        self._known: Json | None = None
        self.title = f"ConfigMap {api.namespace}/{name}"

    async def get(self) -> Json | None:
        """Return the ConfigMap, None if there is none; raise StateFailed."""
        try:
            self._known = await self._api.get(_CONFIG_MAP, self._name)
        except NotFound:
            self._known = None
        except ApiError as error:
            raise self._failed(error) from error
        return self._known

    async def update(self, change: Change) -> None:
        """Read, call ``change``, write; repeat if somebody wrote in between; raise StateFailed.

        A response may be lost, so ``change`` may be called with its own earlier result.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._retry_seconds
        found = self._known
        patch = None if found is None else change(found)
        attempts = 0
        while True:
            if patch is None:
                found = await self.get()
                patch = change(found)
            if patch is None:
                return
            try:
                await self._write(found, patch)
            except (Conflict, NotFound, Unavailable) as error:
                attempts += 1
                pause = self._api.backoff(attempts)
                if clock() + pause > deadline:
                    raise self._failed(error) from error
                patch = None
                await asyncio.sleep(pause)
            except ApiError as error:
                self._known = None
                raise self._failed(error) from error
            else:
                return

    async def _write(self, found: Json | None, patch: Json) -> None:
        metadata = patch.get("metadata", {})
        if found is None:
            labels = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
            new = {"metadata": {**metadata, "name": self._name, "labels": labels}}
            self._known = await self._api.create(_CONFIG_MAP, patch | new)
        else:
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            self._known = await self._api.merge_patch(
                _CONFIG_MAP, self._name, patch | {"metadata": metadata | version}
            )

    def _failed(self, error: ApiError) -> StateFailed:
        said = f"{self.title} can't be read or written ({error})"
        where = f"--namespace {self._api.namespace}"
        if isinstance(error, Invalid):
            again = (
                f"; kubectl {where} delete configmap {self._name} && kubectl {where} create"
                f" configmap {self._name}: a runner that is active writes its state again"
            )
            return (StateFull if "Too long" in str(error) else StateFailed)(said + again)
        if isinstance(error, Forbidden):
            return StateFailed(
                f"{said}; you need get and patch of it, and create if it isn't there: kubectl"
                f" {where} create configmap {self._name}"
            )
        return StateFailed(f"{said}; see whether kubectl {where} get configmaps works")


def data_of(found: Json | None, key: str) -> str | None:
    """Return the value of a data key, None if it is absent."""
    return None if found is None else (found.get("data") or {}).get(key)


def annotation_of(found: Json | None, key: str) -> str | None:
    """Return the value of an annotation, None if it is absent."""
    return None if found is None else (found["metadata"].get("annotations") or {}).get(key)
