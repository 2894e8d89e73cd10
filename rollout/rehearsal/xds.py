"""Publish configurations to a running Envoy: files renamed into place, make before break."""

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
from . import confirmation
from .child_process import end_of
from .envoy_admin import EnvoyAdmin
from .envoy_log import last_word
from .programs import RehearsalFailed
from .validation import Validation

#: How long Envoy may take to apply what it watches; it takes milliseconds.
APPLY_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.002
_TYPES: Final = "type.googleapis.com/envoy.config."
_ENDPOINTS: Final = f"{_TYPES}endpoint.v3.ClusterLoadAssignment"
_CLUSTERS: Final = f"{_TYPES}cluster.v3.Cluster"
_ROUTES: Final = f"{_TYPES}route.v3.RouteConfiguration"
_LISTENERS: Final = f"{_TYPES}listener.v3.Listener"
#: What is confirmed together, what must be there first before what refers to it. Envoy reads the
#: endpoints of a cluster once it has the cluster, and routes once it has the listener.
_TOGETHER: Final = ((_ENDPOINTS, _CLUSTERS), (_ROUTES, _LISTENERS))


class NotApplied(RehearsalFailed):
    """Envoy refused a configuration, or did not apply it in time; the one before serves on."""


@dataclass(frozen=True, slots=True)
class Published:
    """``seconds`` from the first rename until Envoy said that all of it is in force.

    ``files`` are those that changed; none if Envoy had it all already.
    """

    seconds: float
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A document as it is written; ``content`` leaves out the version."""

    kind: str
    names: tuple[str, ...]
    version: str
    content: str
    text: str

    @classmethod
    def of(cls, document: Resource, version: str) -> _File:
        resources = list(document.get("resources", ()))
        return cls(
            document.get("type_url") or resources[0]["@type"],
            tuple(map(confirmation.name_of, resources)),
            version,
            json.dumps({**document, "version_info": ""}),
            json.dumps(document),
        )


@dataclass(slots=True)
class Publisher:
    """Keeps the files of a directory that one Envoy watches.

    New texts are written beside the directory: its filesystem has to be the same, as Envoy heeds
    renames alone.
    """

    directory: Path
    admin: EnvoyAdmin
    validation: Validation
    #: Envoy's own, in which it says why it refused something.
    log: Path
    _now: Configuration | None = field(default=None, init=False)
    _files: dict[str, _File] = field(default_factory=dict, init=False)
    _versions: int = field(default=0, init=False)

    def place(self, configuration: Configuration) -> None:
        """Write the files for an Envoy that is yet to start."""
        for name, file in self._changed(configuration).items():
            self._write(name, file)
        self._now = configuration

    async def confirm_start(self) -> None:
        """Return once Envoy has applied what it started with; raise NotApplied."""
        assert self._now is not None  # noqa: S101 - placed before
        await self._confirm(self._now, self._files, refused_before=0)

    async def publish(self, configuration: Configuration) -> Published:
        """Put a configuration in force and return once it is.

        Endpoints and clusters come before the routes that name them and go after them, so that no
        request meets a route to nowhere. What Envoy refuses is taken back. Raises
        ConfigurationInvalid before anything changed, NotApplied after.
        """
        await self.validation.check(configuration)
        return await self.publish_unchecked(configuration)

    async def publish_unchecked(self, configuration: Configuration) -> Published:
        """Do the same without asking first whether Envoy would take it."""
        assert self._now is not None  # noqa: S101 - placed before Envoy started
        before, started = self._now, time.perf_counter()
        files: list[str] = []
        try:
            for stage in stages(before, configuration):
                files += await self._put(stage)
        except NotApplied:
            with contextlib.suppress(NotApplied):
                await self._put(before)
            raise
        self._now = configuration
        self._remove_unused(configuration)
        return Published(time.perf_counter() - started, tuple(files))

    async def _put(self, configuration: Configuration) -> list[str]:
        changed = self._changed(configuration)
        for kinds in _TOGETHER:
            files = {
                name: file for kind in kinds for name, file in changed.items() if file.kind == kind
            }
            if files:
                refused = confirmation.refusals(await self.admin.stats(confirmation.PATTERN))
                for name, file in files.items():
                    self._write(name, file)
                await self._confirm(configuration, files, refused_before=refused)
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
        fresh = self.directory.parent / f"{name}.fresh"
        fresh.write_text(file.text, encoding="utf-8")
        fresh.replace(self.directory / name)
        self._files[name] = file

    def _remove_unused(self, configuration: Configuration) -> None:
        used = discovery(configuration, "", str(self.directory))
        for name in self._files.keys() - used.keys():
            (self.directory / name).unlink(missing_ok=True)
            del self._files[name]

    async def _confirm(
        self, configuration: Configuration, files: Mapping[str, _File], *, refused_before: int
    ) -> None:
        """Return once Envoy says that it has these files' versions."""
        wanted = _wanted(configuration, files.values())
        lacking = list(wanted)
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                while lacking:
                    stats = await self.admin.stats(confirmation.PATTERN)
                    if confirmation.refusals(stats) > refused_before:
                        why = last_word(end_of(self.log))
                        raise NotApplied(f"Envoy refuses {_listed(files)}: {why}")
                    lacking = confirmation.missing(wanted, stats)
                    if lacking:
                        await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise NotApplied(
                f"Envoy has not applied {_listed(files)} after {APPLY_SECONDS:g} s: it lacks"
                f" {', '.join(lacking)}"
            ) from None


def stages(before: Configuration, after: Configuration) -> Iterator[Configuration]:
    """Yield what is to be in force in turn, so that no route ever names a cluster that is not.

    First all clusters of both, with the routes as they were; then the new routes; then without the
    clusters that nothing names any more.
    """
    names = {each["name"] for each in after.clusters}
    left = tuple(each for each in before.clusters if each["name"] not in names)
    clusters = (*after.clusters, *left)
    assignments = {**before.load_assignments, **after.load_assignments}
    yield replace(before, clusters=clusters, load_assignments=assignments)
    yield replace(after, clusters=clusters, load_assignments=assignments)
    if left:
        yield after


def _wanted(configuration: Configuration, files: Iterable[_File]) -> dict[str, str]:
    """Return the stats that are to show the files' versions."""
    by_name = {
        _ENDPOINTS: confirmation.endpoint_stats(configuration),
        _ROUTES: confirmation.route_stats(configuration),
    }
    wanted: dict[str, str] = {}
    for file in files:
        if file.kind == _CLUSTERS:
            stats = [confirmation.CLUSTERS]
        elif file.kind == _LISTENERS:
            stats = [confirmation.LISTENERS]
        else:
            # What nobody asks Envoy for, it does not ask for either.
            known = by_name[file.kind]
            stats = [known[name] for name in file.names if name in known]
        wanted.update(dict.fromkeys(stats, file.version))
    return wanted


def _listed(files: Mapping[str, _File]) -> str:
    return ", ".join(sorted(files))
