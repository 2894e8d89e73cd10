"""Ask the API server: every way in which it can fail, named by what is to be done about it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpx2
import msgspec
from lightkube import AsyncClient
from lightkube.core.exceptions import ConfigError
from lightkube.types import PatchType

Json = dict[str, Any]
Answer = TypeVar("Answer")

#: Too many requests, and what a proxy in front of the server says while it is away.
_AWAY: Final = frozenset({408, 425, 429})
_LONGEST_PAUSE_SECONDS: Final = 5.0


class NoAnswer(Exception):
    """The API server did what was asked, or didn't; the message says why that isn't known."""


class Away(NoAnswer):
    """It can't be reached or can't serve now: worth another try."""


class Absent(NoAnswer):
    """There is no such object, or the cluster doesn't know its kind."""


class Forbidden(NoAnswer):
    """We may not."""


class Conflict(NoAnswer):
    """The object is not any more what the change was meant for."""


class Refused(NoAnswer):
    """It will not do that, however often it is asked."""


class Unprocessable(Refused):
    """A JSON patch that doesn't apply, its tests included; or an object that isn't valid."""


#: A class of lightkube's, which stands for a kind of object.
Kind = type[Any]


class Api:
    """Objects of one namespace, as plain JSON."""

    def __init__(self, client: AsyncClient, namespace: str) -> None:
        self._client: Any = client  # its overloads are about classes made at run time
        self.namespace = namespace

    async def get(self, kind: Kind, name: str) -> Json:
        """Return an object; raise NoAnswer."""
        return await _answer(self._client.get(kind, name, namespace=self.namespace))

    async def list(self, kind: Kind) -> list[Json]:
        """Return all objects of a kind; raise NoAnswer."""

        async def pages() -> list[Any]:
            return [each async for each in self._client.list(kind, namespace=self.namespace)]

        return [_plain(each) for each in await _translated(pages())]

    async def patch(self, kind: Kind, name: str, operations: Sequence[Json]) -> Json:
        """Apply a JSON patch (RFC 6902), all of it or nothing; raise NoAnswer."""
        return await self._patch(kind, name, list(operations), PatchType.JSON)

    async def merge(self, kind: Kind, name: str, changes: Mapping[str, Any]) -> Json:
        """Apply a merge patch (RFC 7396); Conflict if it names an old resourceVersion."""
        return await self._patch(kind, name, dict(changes), PatchType.MERGE)

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Json:
        """Create an object; raise NoAnswer, which is Conflict if there is one of that name."""
        made = kind.from_dict(dict(body))
        return await _answer(self._client.create(made, namespace=self.namespace))

    async def _patch(self, kind: Kind, name: str, body: Any, how: PatchType) -> Json:
        return await _answer(
            self._client.patch(kind, name, body, namespace=self.namespace, patch_type=how)
        )


async def patiently(
    ask: Callable[[], Awaitable[Answer]], *, seconds: float, pause_seconds: float
) -> Answer:
    """Ask again while the server is away, for so many seconds; then raise Away."""
    give_up = asyncio.get_running_loop().time() + seconds
    tries = 0
    while True:
        try:
            return await ask()
        except Away:
            tries += 1
            pause = backoff(tries, pause_seconds)
            if asyncio.get_running_loop().time() + pause > give_up:
                raise
        await asyncio.sleep(pause)


def backoff(tries: int, pause_seconds: float) -> float:
    """Return how long to wait after so many tries: longer each time, never as long as another."""
    longest = min(pause_seconds * 2.0 ** min(tries, 16), _LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1.0)


async def _answer(asked: Awaitable[Any]) -> Json:
    return _plain(await _translated(asked))


async def _translated(asked: Awaitable[Answer]) -> Answer:
    try:
        return await asked
    except httpx2.HTTPStatusError as error:  # lightkube's ApiError is one
        raise _by_status(error) from error
    except httpx2.RequestError as error:
        raise Away(f"{type(error).__name__} {error}".strip()) from error
    except ConfigError as error:
        raise Refused(f"the credentials can't be had: {error}") from error
    except OSError as error:  # sockets fail as RequestError: this is the plugin's command
        raise Refused(f"the credentials' plugin can't be run: {error}") from error
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        # lightkube stumbles over an error without Content-Type or without a Status in it.
        behind = error.__context__
        if isinstance(behind, httpx2.HTTPStatusError):
            raise _by_status(behind) from error
        if isinstance(error, (msgspec.DecodeError, httpx2.DecodingError)):
            raise Away("the answer is not what an API server says") from error
        raise Refused("the credentials' plugin gives no token") from error


def _by_status(error: httpx2.HTTPStatusError) -> NoAnswer:
    status = error.response.status_code
    said = f"{status} {_message(error.response)}"
    if status in _AWAY or status >= 500:
        return Away(said)
    if status in {401, 403}:
        return Forbidden(said)
    for code, kind in ((404, Absent), (409, Conflict), (422, Unprocessable)):
        if status == code:
            return kind(said)
    return Refused(said)


def _message(response: httpx2.Response) -> str:
    """Return what the server's Status says, else what its number is called."""
    try:
        return str(response.json()["message"])
    except (LookupError, ValueError, TypeError):
        return response.reason_phrase


def _plain(answered: Any) -> Json:
    plain: Json = answered if isinstance(answered, dict) else answered.to_dict()
    return plain
