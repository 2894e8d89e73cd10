"""A client of the Kubernetes API: get, list, patch and create, with one exception per failure."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpx2
import msgspec
from lightkube import AsyncClient
from lightkube.core.exceptions import ConfigError
from lightkube.types import PatchType

from .cluster_client import ClusterClient

Json = dict[str, Any]
Result = TypeVar("Result")

#: Statuses below 500 that are worth a retry: request timeout, too early, too many requests.
_RETRYABLE: Final = frozenset({408, 425, 429})
_MAX_BACKOFF_SECONDS: Final = 5.0


class ApiError(Exception):
    """A request failed; the message says why. The server may have applied the change or not."""


class Unavailable(ApiError):
    """The server can't be reached or can't serve now; a retry may help."""


class NotFound(ApiError):
    """There is no such object, or the cluster does not know its kind."""


class Forbidden(ApiError):
    """The user lacks the permission, or the server has not loaded the permissions yet."""


class Unauthorized(Forbidden):
    """The server doesn't accept the credentials, also after they were read again."""


class Conflict(ApiError):
    """The object has changed since it was read, or exists already."""


class Rejected(ApiError):
    """The server rejects the request; a retry does not help."""


class Invalid(Rejected):
    """Status 422: a JSON patch that does not apply (a failed ``test``), or an invalid object."""


#: A resource class of lightkube.
Kind = type[Any]


class ApiClient:
    """Reads and writes objects of one namespace, as plain JSON.

    A read is repeated for ``retry_seconds`` while the server is unavailable. A write is not: read
    the object again first. If the credentials are refused, they are read again from where they are
    kept, and the request is repeated once.
    """

    def __init__(
        self, client: AsyncClient, namespace: str, *, retry_seconds: float, backoff_seconds: float
    ) -> None:
        self._client: Any = client  # its overloads do not accept classes made at run time
        self._retry_seconds = retry_seconds
        self._backoff_seconds = backoff_seconds
        self.namespace = namespace

    async def get(self, kind: Kind, name: str) -> Json:
        """Return an object; raise ApiError."""
        found = await self._retry(lambda: self._client.get(kind, name, namespace=self.namespace))
        return _to_dict(found)

    async def list(self, kind: Kind, labels: Mapping[str, str] | None = None) -> list[Json]:
        """Return all objects of a kind, or those with these labels; raise ApiError."""

        async def pages() -> list[Any]:
            found = self._client.list(kind, namespace=self.namespace, labels=labels)
            return [each async for each in found]

        found = await self._retry(pages)
        return [_to_dict(each) for each in found]

    async def json_patch(self, kind: Kind, name: str, operations: Sequence[Json]) -> Json:
        """Apply a JSON patch (RFC 6902), all of it or nothing; raise ApiError."""
        return await self._patch(kind, name, list(operations), PatchType.JSON)

    async def merge_patch(self, kind: Kind, name: str, changes: Mapping[str, Any]) -> Json:
        """Apply a merge patch (RFC 7396); raise ApiError.

        Raise Conflict if ``changes`` has a resourceVersion that is not the current one.
        """
        return await self._patch(kind, name, dict(changes), PatchType.MERGE)

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Json:
        """Create an object; raise ApiError, or Conflict if the name is taken."""
        made = kind.from_dict(dict(body))
        return _to_dict(
            await self._send(lambda: self._client.create(made, namespace=self.namespace))
        )

    def server_time(self) -> float:
        """Return the Unix time by the server's clock, or by this machine's before a response."""
        client = self._client
        return client.server_time() if isinstance(client, ClusterClient) else time.time()

    def backoff(self, attempts: int) -> float:
        """Return the pause after so many attempts, in seconds: exponential with jitter, <= 5 s."""
        longest = min(self._backoff_seconds * 2.0 ** min(attempts, 16), _MAX_BACKOFF_SECONDS)
        return longest * random.uniform(0.5, 1.0)

    async def _retry(self, request: Callable[[], Awaitable[Result]]) -> Result:
        deadline = asyncio.get_running_loop().time() + self._retry_seconds
        attempts = 0
        while True:
            try:
                return await self._send(request)
            except Unavailable:
                attempts += 1
                pause = self.backoff(attempts)
                if asyncio.get_running_loop().time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)

    async def _send(self, request: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await _translate_errors(request())
        except Unauthorized:
            if not isinstance(self._client, ClusterClient):
                raise
            await self._client.renew()
            return await _translate_errors(request())
        except Unavailable as error:
            # Also a client certificate that has expired: some servers end the handshake.
            if "SSL" in str(error) and isinstance(self._client, ClusterClient):
                await self._client.renew()
            raise

    async def _patch(self, kind: Kind, name: str, body: Any, patch_type: PatchType) -> Json:
        return _to_dict(
            await self._send(
                lambda: self._client.patch(
                    kind, name, body, namespace=self.namespace, patch_type=patch_type
                )
            )
        )


async def _translate_errors(request: Awaitable[Result]) -> Result:
    try:
        return await request
    except httpx2.HTTPStatusError as error:  # lightkube's ApiError is one
        raise _by_status(error) from error
    except httpx2.RequestError as error:
        raise Unavailable(f"{type(error).__name__} {error}".strip()) from error
    except ConfigError as error:
        raise Rejected(f"the credentials can't be read: {error}") from error
    except OSError as error:  # sockets raise RequestError, so this is the exec plugin's command
        raise Rejected(f"the credentials plugin can't be run: {error}") from error
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        # lightkube fails so on an error response without Content-Type or without a Status object.
        cause = error.__context__
        if isinstance(cause, httpx2.HTTPStatusError):
            raise _by_status(cause) from error
        if isinstance(error, (msgspec.DecodeError, httpx2.DecodingError)):
            raise Unavailable("the response is not JSON of an API server") from error
        raise Rejected("the credentials plugin returned no token") from error


def _by_status(error: httpx2.HTTPStatusError) -> ApiError:
    status = error.response.status_code
    message = f"{status} {_message(error.response)}"
    if status in _RETRYABLE or status >= 500:
        return Unavailable(message)
    kinds = (
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (422, Invalid),
    )
    for code, kind in kinds:
        if status == code:
            return kind(message)
    return Rejected(message)


def _message(response: httpx2.Response) -> str:
    """Return the message of the server's Status object, else the reason phrase."""
    try:
        return str(response.json()["message"])
    except (LookupError, ValueError, TypeError):
        return response.reason_phrase


def _to_dict(resource: Any) -> Json:
    plain: Json = resource if isinstance(resource, dict) else resource.to_dict()
    return plain
