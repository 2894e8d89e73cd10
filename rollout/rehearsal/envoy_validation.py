"""Validates a configuration with ``envoy --mode validate`` before it is published."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from ..envoy.bootstrap import static_bootstrap
from ..envoy.configuration import Configuration, Resource
from .child_process import Child
from .envoy_process import last_log_message
from .errors import ConfigurationInvalid
from .executables import find_envoy
from .loopback import free_address

_TIMEOUT_SECONDS: Final = 60.0


class EnvoyValidator:
    """Runs ``envoy --mode validate``, which takes about 0.1 s, and remembers valid configurations.

    Endpoints can't be invalid. So a configuration that differs only in endpoints is not validated
    again.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._valid: set[str] = set()

    async def validate(self, *configurations: Configuration) -> None:
        """Return if Envoy accepts each of the configurations; raise ConfigurationInvalid."""
        by_digest = {_digest(each): each for each in configurations}
        groups: dict[str, list[Configuration]] = {}
        for digest, each in by_digest.items():
            if digest not in self._valid:
                # Routes are checked against the clusters of their own configuration.
                groups.setdefault(json.dumps(each.clusters), []).append(each)
        for group in groups.values():
            await self._run_envoy(_combined(group))
        self._valid.update(by_digest)

    async def _run_envoy(self, bootstrap: Resource) -> None:
        with tempfile.TemporaryDirectory(dir=self._directory) as name:
            directory = Path(name)
            file = directory / "static.json"
            file.write_text(json.dumps(bootstrap), encoding="utf-8")
            async with _validating(file, directory / "log") as child:
                try:
                    async with asyncio.timeout(_TIMEOUT_SECONDS):
                        code = await child.wait()
                except TimeoutError:
                    raise ConfigurationInvalid(
                        f"Envoy did not finish validating after {_TIMEOUT_SECONDS:g} s"
                    ) from None
                if code != 0:
                    why = last_log_message(child.log_tail()) or f"exit code {code}"
                    raise ConfigurationInvalid(f"Envoy rejects the configuration: {why}")


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


def _combined(configurations: Sequence[Configuration]) -> Resource:
    """Return one static bootstrap with the listeners of all configurations, each with its routes.

    Starting Envoy takes most of the time: to validate all steps together is as fast as one step.
    """
    documents = [static_bootstrap(each, free_address()) for each in configurations]
    clusters = {
        each["name"]: each
        for document in documents
        for each in document["static_resources"]["clusters"]
    }
    listeners = [
        _made_unique(each, index)
        for index, document in enumerate(documents)
        for each in document["static_resources"]["listeners"]
    ]
    resources = {"clusters": [*clusters.values()], "listeners": listeners}
    return {**documents[0], "static_resources": resources}


def _made_unique(listener: Resource, index: int) -> Resource:
    """Return a listener with a unique name and any free port."""
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
