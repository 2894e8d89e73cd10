"""Starts and stops a whole rehearsal: Redis, pods, Envoy, evidence, Prometheus and load."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client import CollectorRegistry

from ..envoy.bootstrap import bootstrap
from ..envoy.configuration import Objects
from ..envoy.proxy import Proxy
from ..manifests.weighted_rules import Routes
from ..plan.model import Plan
from ..runner.ports import Source, Target
from .access_log import AccessLog, AccessLogEntry
from .applied_manifests import AppliedManifests, Document, read_applied_manifests
from .control_plane import ControlPlane, RehearsalTarget
from .entrance import Entrance, entrances_of
from .envoy_admin import EnvoyAdmin
from .envoy_process import LOG as ENVOY_LOG
from .envoy_process import running_envoy
from .envoy_validation import EnvoyValidator
from .errors import ConfigurationInvalid, RehearsalFailed
from .executables import find_envoy
from .ingress import Ingress, find_ingresses
from .istio_metrics import IstioMetrics, serving_metrics
from .kubelet import Kubelet
from .load_generator import LoadGenerator
from .local_mesh import prepare_mesh
from .loopback import free_addresses, url_of
from .not_rehearsed import not_rehearsed
from .notes import callers_notes, replacement_notes
from .pod_specs import PodOptions, PodSpecs, build_pod_specs
from .prometheus_process import running_prometheus
from .redis_process import PrivateRedis, running_redis
from .request_mix import KeyValueMix, RequestMix
from .risks import Risk, accepted_risks
from .source import ArmCounts, RehearsalSource
from .step_routes import istio_routes_of, reached_routes, with_first_step
from .stubs import destination_hosts
from .token_keys import with_keys
from .xds_publisher import XdsPublisher

log = logging.getLogger(__name__)

#: In the messages of Envoy and of other servers if another process has the port.
_PORT_IN_USE: Final = "in use"
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class RehearsalOptions:
    """How to rehearse.

    ``rate`` is in requests per second, 0 for none. ``mix`` is what they request, None for
    tallykv's keys and counters. The metrics of ``registry`` are served together with the gateway's.
    ``observers`` are called with each request that the gateway completed. ``ignored`` names fields
    and kinds that the rehearsal leaves out, although they could change its answers. ``hosts`` are
    those of the VirtualService that clients ask for, at random; without any, it is the first.
    ``caller`` is who sends the requests from inside the mesh, None for the way that the
    VirtualService's ``gateways`` say. ``headers`` are those of every request. ``keys`` are of the
    issuers of tokens, as ``with_keys`` takes them.
    """

    pods: PodOptions = field(default_factory=PodOptions)
    rate: float = 50.0
    mix: RequestMix | None = None
    prometheus: bool = True
    registry: CollectorRegistry | None = None
    observers: tuple[Callable[[AccessLogEntry], None], ...] = ()
    ignored: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    caller: Proxy | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rehearsal:
    """A running rehearsal.

    ``entrances`` are where clients send requests. ``metrics`` and ``prometheus`` are URLs.
    ``directory`` has the logs of the processes until the end. ``notes`` say what is not rehearsed.
    ``events`` are texts with their Unix time. ``startup_seconds`` has the duration of each part of
    the start.
    """

    target: Target
    source: Source
    control_plane: ControlPlane
    entrances: tuple[Entrance, ...]
    admin: EnvoyAdmin
    metrics: str
    prometheus: str | None
    kubelet: Kubelet
    counts: ArmCounts
    load_generator: LoadGenerator
    directory: Path
    notes: tuple[str, ...]
    events: list[tuple[float, str]]
    startup_seconds: Mapping[str, float]

    @property
    def gateway(self) -> str:
        """Return the URL of the first entrance."""
        return self.entrances[0].url

    @property
    def host(self) -> str:
        """Return the Host header of the first entrance."""
        return self.entrances[0].host


@contextlib.asynccontextmanager
async def rehearsing(
    documents: Iterable[Document], plan: Plan, options: RehearsalOptions | None = None
) -> AsyncIterator[Rehearsal]:
    """Run a rehearsal until the block ends; then no process and no file of it is left.

    ``documents`` are all objects that are applied before the first step, in the order in which they
    are applied. Envoy validates the routes of every step before the block begins. Raise a kind of
    RehearsalFailed.
    """
    options = options or RehearsalOptions()
    find_envoy()  # fail before anything starts
    manifests = read_applied_manifests(with_keys(documents, options.keys))
    routes = [routes for step in plan.steps for routes in step.all_routes]
    objects = with_first_step(manifests.objects, plan.steps[0])
    made = [one for each in routes for one in istio_routes_of(objects, each)]
    risks = accepted_risks(manifests.documents, routes, options.ignored, made)
    first = plan.steps[0].all_routes
    ingresses, elsewhere = find_ingresses(objects, first, options.hosts, options.caller)
    for attempts_left in reversed(range(_ATTEMPTS)):
        async with AsyncExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(
                prefix="tallykv-rehearsal-", ignore_cleanup_errors=True
            )
            directory = Path(stack.enter_context(temporary))
            startup = _Startup(directory, plan, manifests, options, risks, elsewhere)
            try:
                rehearsal = await startup.run(stack, objects, ingresses)
            except RehearsalFailed as failed:
                # A port was free when it was chosen, and another process took it since.
                if attempts_left and _PORT_IN_USE in str(failed).lower():
                    continue
                raise
            yield rehearsal
            return


class _Startup:
    """Starts the parts of a rehearsal."""

    def __init__(
        self,
        directory: Path,
        plan: Plan,
        manifests: AppliedManifests,
        options: RehearsalOptions,
        risks: tuple[Risk, ...],
        elsewhere: Sequence[Routes],
    ) -> None:
        self._directory = directory
        self._plan = plan
        self._manifests = manifests
        self._options = options
        self._risks = risks
        self._elsewhere = elsewhere
        self._events: list[tuple[float, str]] = []
        self._seconds: dict[str, float] = {}

    async def run(
        self, stack: AsyncExitStack, objects: Objects, ingresses: Sequence[Ingress]
    ) -> Rehearsal:
        """Start everything; the stack stops it in reverse order."""
        options, directory = self._options, self._directory
        started = time.perf_counter()
        client = await stack.enter_async_context(aiohttp.ClientSession())
        specs = self._pod_specs(objects)
        proxy = ingresses[0].proxy
        redis = await self._start_redis(stack) if any(each.store for each in specs.pods) else None
        kubelet = Kubelet(specs.pods, directory, redis, client, self._record_event)
        with self._timed("certificates"):
            mesh = await prepare_mesh(objects, ingresses, kubelet.pods, directory)
        [admin_address] = free_addresses(1)
        admin = EnvoyAdmin(admin_address, client)
        counts = ArmCounts(self._plan.releases, self._plan.objective.slow_seconds)
        istio_metrics = IstioMetrics(kubelet.pods, objects)
        access_log = AccessLog(counts.observe, istio_metrics.observe, *options.observers)
        publisher = XdsPublisher(
            directory / "xds", admin, EnvoyValidator(directory), directory / ENVOY_LOG
        )
        publisher.directory.mkdir()
        control_plane = ControlPlane(objects, proxy, mesh, publisher)
        control_plane.write_initial()

        # The pods take longest to start. Everything else starts meanwhile.
        await stack.enter_async_context(kubelet.running())
        with self._timed("validation of the steps"):
            await self._validate_steps(control_plane)
        with self._timed("envoy"):
            boot = bootstrap(admin_address, str(publisher.directory))
            await stack.enter_async_context(running_envoy(directory, boot, admin, access_log.read))
            await publisher.wait_initial_applied()
        registries = [istio_metrics.registry, *([options.registry] if options.registry else [])]
        metrics = await stack.enter_async_context(serving_metrics(registries))
        with self._timed("prometheus"):
            prometheus = await stack.enter_async_context(
                running_prometheus(directory, kubelet.pods, metrics, client)
                if options.prometheus
                else contextlib.nullcontext()
            )
        with self._timed("pods, after all that"):
            await kubelet.wait_ready()
        kubelet.readiness_changed = lambda: self._update_endpoints(control_plane, kubelet)
        await control_plane.update_endpoints(kubelet.ready())
        entrances = entrances_of(ingresses, mesh, options.headers)
        load_generator = LoadGenerator(entrances, options.mix or KeyValueMix(), options.rate)
        if options.rate > 0:
            await stack.enter_async_context(load_generator.running())
        self._seconds["all"] = time.perf_counter() - started
        missing = not_rehearsed(self._manifests.documents, through_gateway=proxy.is_gateway)
        ignored = dict.fromkeys(f"left out by --ignore: {each}" for each in self._risks)
        return Rehearsal(
            target=RehearsalTarget(control_plane),
            source=RehearsalSource(counts, access_log, admin),
            control_plane=control_plane,
            entrances=tuple(entrances),
            admin=admin,
            metrics=f"{url_of(metrics)}/metrics",
            prometheus=prometheus,
            kubelet=kubelet,
            directory=directory,
            counts=counts,
            load_generator=load_generator,
            notes=(
                *ignored,
                *callers_notes(proxy, self._elsewhere),
                *(f"not rehearsed: {each}" for each in missing),
                *specs.notes,
                *replacement_notes(
                    redis=bool(redis), encrypted=bool(mesh.encrypted), sidecars=bool(mesh.sidecars)
                ),
            ),
            events=self._events,
            startup_seconds=self._seconds,
        )

    def _pod_specs(self, objects: Objects) -> PodSpecs:
        hosts = destination_hosts(reached_routes(objects, self._plan.steps))
        specs = build_pod_specs(self._manifests, self._plan.releases, self._options.pods, hosts)
        if not specs.pods:
            raise RehearsalFailed(
                "no pods: the routes lead to no Service with a workload; add Deployments"
            )
        return specs

    async def _validate_steps(self, control_plane: ControlPlane) -> None:
        """Validate the routes of all steps; the error names the step."""
        steps = self._plan.steps
        try:
            await control_plane.validate(*steps)
        except ConfigurationInvalid:
            for step in steps:
                try:
                    await control_plane.validate(step)
                except ConfigurationInvalid as error:
                    raise ConfigurationInvalid(f"step {step.name}: {error}") from None
            raise

    async def _start_redis(self, stack: AsyncExitStack) -> PrivateRedis:
        with self._timed("redis"):
            return await stack.enter_async_context(running_redis(self._directory))

    async def _update_endpoints(self, control_plane: ControlPlane, kubelet: Kubelet) -> None:
        try:
            await control_plane.update_endpoints(kubelet.ready())
        except RehearsalFailed as error:
            self._record_event(f"Envoy's endpoints are not updated: {error}")

    def _record_event(self, event: str) -> None:
        log.info("rehearsal event", extra={"event": event})
        self._events.append((time.time(), event))

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[what] = time.perf_counter() - started
