"""Give back the fields of an object that this tool has written, so that others may apply it.

While a rollout runs, the API server lists this tool as the owner of the routes, and refuses to let
a server-side apply of a manifest change them. At the end nobody owns them, and whoever applies the
manifest next does. A client-side apply knows no owners.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from .api_client import ApiClient, Conflict, Invalid, Json, Kind
from .cluster_client import FIELD_MANAGER

MAX_ATTEMPTS: Final = 5


async def give_back(api: ApiClient, kind: Kind, name: str) -> bool:
    """Remove this tool from the owners; return False if it was none. Raise ApiError."""
    for attempts in range(1, MAX_ATTEMPTS):
        try:
            return await _give_back(api, kind, name)
        except (Conflict, Invalid):  # Others write the object too: controllers its status.
            await asyncio.sleep(api.backoff(attempts))
    return await _give_back(api, kind, name)


async def _give_back(api: ApiClient, kind: Kind, name: str) -> bool:
    live = await api.get(kind, name)
    metadata = live["metadata"]
    entries: list[Json] = metadata.get("managedFields") or []
    kept: list[Any] = [each for each in entries if not _is_mine(each)]
    if len(kept) == len(entries):
        return False
    version = {"op": "test", "path": "/metadata/resourceVersion"}
    # An empty list changes nothing; a list with an empty entry removes all.
    change = {"op": "replace", "path": "/metadata/managedFields", "value": kept or [{}]}
    await api.json_patch(kind, name, [{**version, "value": metadata["resourceVersion"]}, change])
    return True


def _is_mine(entry: Json) -> bool:
    return entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")
