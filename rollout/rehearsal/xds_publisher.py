"""Publishes configurations to a running Envoy as xDS files: make before break, then confirmed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..envoy.configuration import Configuration, Resource
from ..envoy.discovery import discovery
from ..envoy.protobuf_json import (
    CLUSTER,
    LISTENER,
    LOAD_ASSIGNMENT,
    ROUTE_CONFIGURATION,
    type_url,
)
from . import subscription_stats
from .child_process import log_tail
from .envoy_admin import EnvoyAdmin
from .envoy_process import last_log_message
from .envoy_validation import EnvoyValidator
from .errors import NotApplied

#: How long Envoy may take to apply an update. It usually takes milliseconds.
APPLY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.002
_ENDPOINTS: Final = type_url(LOAD_ASSIGNMENT)
_CLUSTERS: Final = type_url(CLUSTER)
_ROUTES: Final = type_url(ROUTE_CONFIGURATION)
_LISTENERS: Final = type_url(LISTENER)
#: The types in publishing order; each group is confirmed as a whole. Envoy subscribes to the
#: endpoints of a cluster after it has the cluster, and to routes after it has the listener.
_GROUPS: Final = ((_ENDPOINTS, _CLUSTERS), (_ROUTES, _LISTENERS))


@dataclass(frozen=True, slots=True)
class Published:
    """A finished update.

    ``seconds`` is the time from the first write until Envoy showed the last version. ``files`` are
    the files that changed; it is empty if nothing changed.
    """

    seconds: float
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A discovery response as it is written; ``content`` is its text without the version."""

    kind: str
    names: tuple[str, ...]
    version: str
    content: str
    text: str

    @classmethod
    def of(cls, document: Resource, version: str) -> _File:
        return cls(
            document["type_url"],
            tuple(map(subscription_stats.resource_name, document["resources"])),
            version,
            json.dumps({**document, "version_info": ""}),
            json.dumps(document),
        )


@dataclass(slots=True)
class XdsPublisher:
    """Maintains the xDS files in a directory that one Envoy watches.

    Envoy reacts to renames only. So each file is written in the parent directory, which is on the
    same filesystem, and then renamed.
    """

    directory: Path
    admin: EnvoyAdmin
    validator: EnvoyValidator
    #: Envoy's own log, which has the reason of a rejection.
    log: Path
    _current: Configuration | None = field(default=None, init=False)
    _files: dict[str, _File] = field(default_factory=dict, init=False)
    _versions: int = field(default=0, init=False)

    def write_initial(self, configuration: Configuration) -> None:
        """Write the files that Envoy reads when it starts."""
        for name, file in self._changed(configuration).items():
            self._write(name, file)
        self._current = configuration

    async def wait_initial_applied(self) -> None:
        """Wait until Envoy has applied the initial files; raise NotApplied."""
        assert self._current is not None  # noqa: S101 - written before
        await self._confirm(self._current, self._files, rejected_before=0)

    async def publish(self, configuration: Configuration) -> Published:
        """Validate and publish a configuration; return when Envoy has applied all of it.

        Raise ConfigurationInvalid before anything changes, or NotApplied after the previous
        configuration is restored.
        """
        await self.validator.validate(configuration)
        return await self.publish_unvalidated(configuration)

    async def publish_unvalidated(self, configuration: Configuration) -> Published:
        """Publish a configuration as ``publish`` does, without validating it first."""
        assert self._current is not None  # noqa: S101 - written before Envoy started
        before, started = self._current, time.perf_counter()
        files: list[str] = []
        try:
            for stage in make_before_break(before, configuration):
                files += await self._put(stage)
        except NotApplied:
            with contextlib.suppress(NotApplied):
                await self._put(before)
            raise
        self._current = configuration
        self._remove_unused(configuration)
        return Published(time.perf_counter() - started, tuple(files))

    async def _put(self, configuration: Configuration) -> list[str]:
        """Write what changed, group by group; return the names of the files."""
        changed = self._changed(configuration)
        for kinds in _GROUPS:
            files = {
                name: file for kind in kinds for name, file in changed.items() if file.kind == kind
            }
            if files:
                stats = await self.admin.stats(subscription_stats.PATTERN)
                rejected = subscription_stats.rejected_updates(stats)
                for name, file in files.items():
                    self._write(name, file)
                await self._confirm(configuration, files, rejected_before=rejected)
        return list(changed)

    def _changed(self, configuration: Configuration) -> dict[str, _File]:
        self._versions += 1
        version = str(self._versions)
        documents = discovery(configuration, version, str(self.directory))
        files = {name: _File.of(document, version) for name, document in documents.items()}
        return {
            name: file
            for name, file in files.items()
            if name not in self._files or self._files[name].content != file.content
        }

    def _write(self, name: str, file: _File) -> None:
        temporary = self.directory.parent / f"{name}.new"
        temporary.write_text(file.text, encoding="utf-8")
        temporary.replace(self.directory / name)
        self._files[name] = file

    def _remove_unused(self, configuration: Configuration) -> None:
        used = discovery(configuration, "", str(self.directory))
        for name in self._files.keys() - used.keys():
            (self.directory / name).unlink(missing_ok=True)
            del self._files[name]

    async def _confirm(
        self, configuration: Configuration, files: Mapping[str, _File], *, rejected_before: int
    ) -> None:
        """Wait until Envoy's statistics show the versions of these files; raise NotApplied."""
        wanted = _wanted_versions(configuration, files.values())
        missing = list(wanted)
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                while missing:
                    stats = await self.admin.stats(subscription_stats.PATTERN)
                    if subscription_stats.rejected_updates(stats) > rejected_before:
                        why = last_log_message(log_tail(self.log))
                        raise NotApplied(f"Envoy rejects {_listed(files)}: {why}")
                    missing = subscription_stats.missing(wanted, stats)
                    if missing:
                        await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise NotApplied(
                f"Envoy has not applied {_listed(files)} after {APPLY_SECONDS:g} s; missing:"
                f" {', '.join(missing)}"
            ) from None


def make_before_break(before: Configuration, after: Configuration) -> Iterator[Configuration]:
    """Yield the configurations to apply in turn, so that no route ever names a missing cluster.

    First the old routes with the clusters of both, then the new routes with the clusters of both,
    then the new configuration alone.
    """
    names = {each["name"] for each in after.clusters}
    removed = tuple(each for each in before.clusters if each["name"] not in names)
    clusters = (*after.clusters, *removed)
    assignments = {**before.load_assignments, **after.load_assignments}
    yield replace(before, clusters=clusters, load_assignments=assignments)
    yield replace(after, clusters=clusters, load_assignments=assignments)
    if removed:
        yield after


def _wanted_versions(configuration: Configuration, files: Iterable[_File]) -> dict[str, str]:
    """Return the version that each statistic must show, by the statistic's name or its end."""
    by_name = {
        _ENDPOINTS: subscription_stats.endpoint_stats(configuration),
        _ROUTES: subscription_stats.route_stats(configuration),
    }
    wanted: dict[str, str] = {}
    for file in files:
        if file.kind == _CLUSTERS:
            stats = [subscription_stats.CLUSTERS]
        elif file.kind == _LISTENERS:
            stats = [subscription_stats.LISTENERS]
        else:
            # Envoy does not subscribe to what no cluster or listener names.
            known = by_name[file.kind]
            stats = [known[name] for name in file.names if name in known]
        wanted.update(dict.fromkeys(stats, file.version))
    return wanted


def _listed(files: Mapping[str, _File]) -> str:
    return ", ".join(sorted(files))
