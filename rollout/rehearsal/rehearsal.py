"""All of a rehearsal joined: Redis, releases, Envoy, their evidence, and traffic."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client import CollectorRegistry

from ..envoy.bootstrap import bootstrap
from ..envoy.configuration import Objects
from ..evidence.counts import Arm
from ..manifests.hosts import expand_host
from ..plan.model import Plan
from ..runner.ports import Source, Target
from .access_log import Access, AccessLog
from .control_plane import ControlPlane, with_routes
from .envoy_admin import EnvoyAdmin
from .envoy_process import LOG as ENVOY_LOG
from .envoy_process import running_envoy
from .ingress import entrance, ports_of
from .loopback import free_addresses, url_of
from .metrics import MeshMetrics, serving_metrics
from .objects import Document, Manifests, read_objects
from .pods import ReleaseOptions, plan_pods
from .programs import RehearsalFailed, find_envoy
from .prometheus_process import running_prometheus
from .redis import PrivateRedis, running_redis
from .releases import Releases
from .requests import KeyValueMix, Mix
from .source import ArmCounts, RehearsalSource
from .tally import Sample, Tally
from .target import RehearsalTarget
from .traffic import Traffic
from .validation import ConfigurationInvalid, Validation
from .xds import Publisher

log = logging.getLogger(__name__)

#: Always true here, whatever the manifests are.
_NOTES: Final = (
    "not rehearsed: sidecars and callers inside the mesh: requests come in at the gateway alone",
    "not rehearsed: what Kubernetes itself does, as scheduling, scaling, limits, probes' periods",
)
#: What servers say of a port that somebody else has.
_TAKEN: Final = "in use"
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class RehearsalOptions:
    """How to rehearse. ``rate`` of requests is per second, 0 for none; ``mix`` None is tallykv's.

    ``registry`` has series of the rollout's own, to be served beside the gateway's; ``readers``
    are shown each request that the gateway completed.
    """

    releases: ReleaseOptions = field(default_factory=ReleaseOptions)
    rate: float = 50.0
    mix: Mix | None = None
    prometheus: bool = True
    registry: CollectorRegistry | None = None
    readers: tuple[Callable[[Access], None], ...] = ()


@dataclass(slots=True)
class Rehearsal:
    """A rehearsal that runs.

    ``gateway`` is the URL to ask with the Host ``host``. ``notes`` are what is not rehearsed,
    ``events`` what happened meanwhile, each with its Unix time, ``timings`` how many seconds each
    part took to start. ``directory`` has the processes' logs while it lasts.
    """

    target: Target
    source: Source
    control_plane: ControlPlane
    gateway: str
    host: str
    admin: EnvoyAdmin
    metrics: str
    prometheus: str | None
    releases: Releases
    counts: ArmCounts
    traffic: Traffic
    redis: PrivateRedis | None
    envoy_pid: int
    directory: Path
    notes: tuple[str, ...]
    events: list[tuple[float, str]]
    timings: Mapping[str, float]

    @property
    def tally(self) -> Tally:
        return self.traffic.tally

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Return the traffic's seconds so far."""
        return tuple(self.tally.samples)


@contextlib.asynccontextmanager
async def rehearsing(
    documents: Iterable[Document], plan: Plan, options: RehearsalOptions | None = None
) -> AsyncIterator[Rehearsal]:
    """Run a rehearsal until the block ends; nothing of it is left then.

    ``documents`` are the mesh's objects in the order in which they were applied, all that comes
    before the first step. Every step's routes are shown to Envoy before the block begins. Raises
    RehearsalFailed, of which there is a kind for each cause.
    """
    options = options or RehearsalOptions()
    find_envoy()  # what is missing is said before anything starts
    manifests = read_objects(documents)
    routes = plan.steps[0].routes
    objects = _with_first_step(manifests.objects, plan)
    port, host = entrance(objects, routes)
    for tries_left in reversed(range(_TRIES)):
        async with AsyncExitStack() as stack:
            directory = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(
                        prefix="tallykv-rehearsal-", ignore_cleanup_errors=True
                    )
                )
            )
            starting = _Starting(directory, plan, manifests, options)
            try:
                rehearsal = await starting.start(stack, objects, port, host)
            except RehearsalFailed as failed:
                # A port was free when it was chosen; by now somebody else has it.
                if tries_left and _TAKEN in str(failed).lower():
                    continue
                raise
            yield rehearsal
            return


def _with_first_step(objects: Objects, plan: Plan) -> Objects:
    """Return the objects, with the first step's routes if there are none of that name yet."""
    routes = plan.steps[0].routes
    there = {(each.namespace, each.name) for each in objects.virtual_services}
    return objects if (routes.namespace, routes.name) in there else with_routes(objects, routes)


class _Starting:
    """The way from manifests to a rehearsal that runs."""

    def __init__(
        self, directory: Path, plan: Plan, manifests: Manifests, options: RehearsalOptions
    ) -> None:
        self._directory = directory
        self._plan = plan
        self._manifests = manifests
        self._options = options
        self._subsets = {plan.stable: Arm.STABLE, plan.canary: Arm.CANARY}
        self._events: list[tuple[float, str]] = []
        self._timings: dict[str, float] = {}

    async def start(
        self, stack: AsyncExitStack, objects: Objects, port: int, host: str
    ) -> Rehearsal:
        """Start everything; the stack ends it in the opposite order."""
        options, directory = self._options, self._directory
        began = time.perf_counter()
        client = await stack.enter_async_context(aiohttp.ClientSession())
        planned = plan_pods(self._manifests, self._subsets, options.releases)
        if not planned.pods:
            raise RehearsalFailed("no pods: give a command for the releases, or their Deployments")
        ports = ports_of(objects.gateways)
        admin_address, *addresses = free_addresses(1 + len(ports))
        listeners = dict(zip(ports, addresses, strict=True))
        admin = EnvoyAdmin(admin_address, client)

        redis = await self._redis(stack, needed=any(each.store for each in planned.pods))
        releases = Releases(planned.pods, directory, redis, client, self._tell)
        counts = ArmCounts(self._subsets, self._plan.objective.slow_seconds)
        mesh = MeshMetrics(releases.pods, self._workloads(objects))
        access_log = AccessLog(counts.observe, mesh.observe, *options.readers)
        publisher = Publisher(
            directory / "xds", admin, Validation(directory), directory / ENVOY_LOG
        )
        publisher.directory.mkdir()
        control_plane = ControlPlane(objects, {}, listeners, publisher)
        control_plane.place()

        # The pods take longest: everything else happens while they are on their way.
        await stack.enter_async_context(releases.running())
        with self._timed("validation of the steps"):
            await self._check_steps(control_plane)
        with self._timed("envoy"):
            boot = bootstrap(admin_address, str(publisher.directory))
            envoy = await stack.enter_async_context(
                running_envoy(directory, boot, admin, access_log.read)
            )
            await control_plane.start()
        registries = [mesh.registry, *([options.registry] if options.registry else [])]
        metrics = await stack.enter_async_context(serving_metrics(registries))
        with self._timed("prometheus"):
            prometheus = await stack.enter_async_context(
                running_prometheus(directory, releases.pods, metrics, client)
                if options.prometheus
                else contextlib.nullcontext()
            )
        with self._timed("pods, beside all that"):
            await releases.wait_ready()
        releases.changed = lambda: self._follow(control_plane, releases)
        await control_plane.place_pods(releases.ready())
        traffic = Traffic(url_of(listeners[port]), host, options.mix or KeyValueMix(), options.rate)
        if options.rate > 0:
            await stack.enter_async_context(traffic.running())
        self._timings["all"] = time.perf_counter() - began
        return Rehearsal(
            target=RehearsalTarget(control_plane),
            source=RehearsalSource(counts, access_log, admin),
            control_plane=control_plane,
            gateway=url_of(listeners[port]),
            host=host,
            admin=admin,
            metrics=f"{url_of(metrics)}/metrics",
            prometheus=prometheus,
            releases=releases,
            redis=redis,
            envoy_pid=envoy.pid,
            directory=directory,
            counts=counts,
            traffic=traffic,
            notes=(*_NOTES, *self._manifests.notes, *planned.notes, *self._own_notes(redis)),
            events=self._events,
            timings=self._timings,
        )

    async def _check_steps(self, control_plane: ControlPlane) -> None:
        """Ask Envoy whether it would take every step; the error names the step."""
        steps = self._plan.steps
        try:
            await control_plane.check(*(step.routes for step in steps))
        except ConfigurationInvalid:
            for step in steps:
                try:
                    await control_plane.check(step.routes)
                except ConfigurationInvalid as error:
                    raise ConfigurationInvalid(f"step {step.name}: {error}") from None
            raise

    async def _redis(self, stack: AsyncExitStack, *, needed: bool) -> PrivateRedis | None:
        if not needed:
            return None
        with self._timed("redis"):
            return await stack.enter_async_context(running_redis(self._directory))

    def _workloads(self, objects: Objects) -> Mapping[tuple[str, str], str]:
        """Return the workload of each subset that has one only, by host and subset."""
        found: dict[tuple[str, str], list[str]] = {}
        for rule in objects.destination_rules:
            host = expand_host(rule.spec.host, rule.namespace)
            for subset in rule.spec.subsets:
                found[host, subset.name] = [
                    each.name
                    for each in objects.workloads
                    if each.namespace == rule.namespace and each.has_labels(subset.labels)
                ]
        return {key: names[0] for key, names in found.items() if len(names) == 1}

    async def _follow(self, control_plane: ControlPlane, releases: Releases) -> None:
        try:
            await control_plane.place_pods(releases.ready())
        except RehearsalFailed as error:
            self._tell(f"Envoy does not know of it: {error}")

    def _own_notes(self, redis: PrivateRedis | None) -> tuple[str, ...]:
        if redis is None:
            return ()
        return ("a Redis of the rehearsal's own stands for every store, which starts empty",)

    def _tell(self, event: str) -> None:
        log.info("rehearsal event", extra={"event": event})
        self._events.append((time.time(), event))

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._timings[what] = time.perf_counter() - began
