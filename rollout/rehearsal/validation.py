"""Let Envoy itself look for mistakes in a configuration before it is published."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from ..envoy.configuration import Configuration, Resource
from ..envoy.static import as_static
from .child_process import Child
from .envoy_log import last_word
from .loopback import free_address
from .programs import RehearsalFailed, find_envoy

_SECONDS: Final = 20.0


class ConfigurationInvalid(RehearsalFailed):
    """Envoy would not take it; the message is Envoy's."""


class Validation:
    """Asks ``envoy --mode validate``, about 0.1 s a time, and remembers what was found sound.

    Pods that come and go change nothing that could be wrong: a configuration is asked about once,
    however its endpoints change.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sound: set[str] = set()

    async def check(self, *configurations: Configuration) -> None:
        """Return if Envoy would take each of these; raise ConfigurationInvalid."""
        fresh = {_digest(each): each for each in configurations}
        groups: dict[str, list[Configuration]] = {}
        for digest, each in fresh.items():
            if digest not in self._sound:
                # Routes are checked against their own clusters, not those of another.
                groups.setdefault(json.dumps(each.clusters), []).append(each)
        for group in groups.values():
            await self._ask(_side_by_side(group))
        self._sound.update(fresh)

    async def _ask(self, document: Resource) -> None:
        with tempfile.TemporaryDirectory(dir=self._directory) as name:
            directory = Path(name)
            file = directory / "static.json"
            file.write_text(json.dumps(document), encoding="utf-8")
            async with _validating(file, directory / "log") as child:
                try:
                    async with asyncio.timeout(_SECONDS):
                        code = await child.wait()
                except TimeoutError:
                    raise ConfigurationInvalid(
                        f"Envoy has not said after {_SECONDS:g} s whether it would take it"
                    ) from None
                if code != 0:
                    why = last_word(child.said()) or f"exit code {code}"
                    raise ConfigurationInvalid(f"Envoy refuses the configuration: {why}")


@contextlib.asynccontextmanager
async def _validating(file: Path, log: Path) -> AsyncIterator[Child]:
    command = [
        *(find_envoy(), "--mode", "validate", "--config-path", str(file)),
        *("--use-dynamic-base-id", "--disable-hot-restart", "--log-level", "error"),
    ]
    child = await Child.start("envoy --mode validate", command, log)
    try:
        yield child
    finally:
        await child.stop(0)


def _side_by_side(configurations: Sequence[Configuration]) -> Resource:
    """Return one static document with the listeners of all, each with its own routes.

    Most of the time goes into starting an Envoy: one for all steps is as fast as one for a step.
    """
    documents = [as_static(each, free_address()) for each in configurations]
    clusters = {
        each["name"]: each
        for document in documents
        for each in document["static_resources"]["clusters"]
    }
    listeners = [
        _renamed(each, index)
        for index, document in enumerate(documents)
        for each in document["static_resources"]["listeners"]
    ]
    resources = {"clusters": [*clusters.values()], "listeners": listeners}
    return {**documents[0], "static_resources": resources}


def _renamed(listener: Resource, index: int) -> Resource:
    """Return a listener that does not get in the way of its likes: any free port will do."""
    address = {**listener["address"]["socket_address"], "port_value": 0}
    return {
        **listener,
        "name": f"{listener['name']} {index}",
        "address": {"socket_address": address},
    }


def _digest(configuration: Configuration) -> str:
    parts = (
        configuration.listeners,
        configuration.route_configurations,
        configuration.clusters,
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
