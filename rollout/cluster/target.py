"""A cluster as a rollout's target: weights of a live VirtualService, and nothing else of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from lightkube import AsyncClient
from lightkube.generic_resource import create_namespaced_resource

from ..plan.model import Plan, Step
from ..runner.ports import NotOurs, TargetFailed
from .api_client import (
    Absent,
    Api,
    Away,
    Conflict,
    Forbidden,
    Json,
    Kind,
    NoAnswer,
    Unprocessable,
    backoff,
    patiently,
)
from .kubeconfig import FIELD_MANAGER
from .other_controllers import gitops_warnings, last_writer, refuse_claimed, refuse_owned
from .virtual_service_patch import Changes

_GROUP: Final = "networking.istio.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long things may take, in seconds, and how often a change is tried.

    ``settle_seconds`` is for what no API shows: proxies get new routes some time after the object
    has them. ``confirm_seconds`` is for istiod to say that it has seen a change, where it does say.
    """

    away_seconds: float = 30.0
    pause_seconds: float = 0.2
    tries: int = 8
    confirm_seconds: float = 15.0
    settle_seconds: float = 5.0


class ClusterTarget:
    """Puts steps in force in a cluster; what it never touches stays as it is to the byte.

    ``warnings`` has what was noticed and does not keep a rollout from going on.
    """

    def __init__(self, client: AsyncClient, plan: Plan, patience: Patience | None = None) -> None:
        self._api = Api(client, plan.namespace)
        self._name = plan.virtual_service
        self._title = f"VirtualService {plan.namespace}/{plan.virtual_service}"
        self._kind = _kind(str(plan.steps[0].document["apiVersion"]))
        self._changes = Changes(plan)
        self._patience = patience or Patience()
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    async def check(self) -> tuple[str, ...]:
        """Return warnings; raise NotOurs if another holds the weights, TargetFailed otherwise."""
        refuse_owned(await self._read())
        await self._refuse_claimed()
        return self.warnings

    async def apply(self, step: Step) -> None:
        """Put a step in force and return once the cluster has it and the proxies had their time.

        Raise NotOurs, naming who holds the weights or what is not the plan's, or TargetFailed.
        """
        # Who aborts must not wait for lists; that the object itself is ours is checked anyway.
        if not self._changes.is_way_back(step):
            await self._refuse_claimed()
        changed = await self._write(step)
        await self._confirm(step)
        if changed:
            await asyncio.sleep(self._patience.settle_seconds)

    async def in_force(self, step: Step) -> bool:
        """Tell whether the routes are those of a step; raise TargetFailed if they can't be read."""
        live = await self._read()
        try:
            return not self._changes.build(live, step)
        except TargetFailed:
            return False

    async def _write(self, step: Step) -> bool:
        """Change what has to be; return whether that was anything."""
        tested = None
        failed: NoAnswer | None = None
        for tries in range(self._patience.tries):
            if tries:
                await asyncio.sleep(backoff(tries, self._patience.pause_seconds))
            live = await self._read()
            refuse_owned(live)
            change = self._changes.build(live, step)
            if not change:
                return bool(tries)  # an earlier try was applied, only its answer was lost
            version = live["metadata"]["resourceVersion"]
            if isinstance(failed, Unprocessable) and version == tested:
                # The tests hold, so it is the object that is not valid.
                raise TargetFailed(f"the cluster refuses {self._title} at {step.name}: {failed}")
            tested = version
            try:
                await self._api.patch(self._kind, self._name, change.operations(live))
            except (Conflict, Unprocessable, Away) as error:
                failed = error
            except NoAnswer as error:
                raise self._failed(error, "patch") from error
            else:
                return True
        if isinstance(failed, Away):
            raise self._failed(failed, "patch") from failed
        raise TargetFailed(
            f"{self._title} was changed by others, {self._patience.tries} times, before"
            f" {step.name} could be applied; see who writes it: kubectl get --show-managed-fields"
        ) from failed

    async def _confirm(self, step: Step) -> None:
        """Wait until the step is read back, and istiod has seen it if it says what it has seen."""
        give_up = asyncio.get_running_loop().time() + self._patience.confirm_seconds
        tries = 0
        while True:
            live = await self._read()
            overwritten = bool(self._changes.build(live, step))
            if not overwritten and not _lags(live):
                return
            tries += 1
            pause = backoff(tries, self._patience.pause_seconds)
            if asyncio.get_running_loop().time() + pause > give_up:
                break
            await asyncio.sleep(pause)
        if overwritten:
            writer = last_writer(live, besides=FIELD_MANAGER) or "somebody"
            raise NotOurs(
                f"{self._title}: {writer} undid {step.name} right after it was applied;"
                " leave the weights to one of the two"
            )
        raise TargetFailed(
            f"{step.name} is written, but istiod has not taken it up within"
            f" {self._patience.confirm_seconds:g} s (status.observedGeneration"
            f" {live['status']['observedGeneration']}); look at istioctl proxy-status"
        )

    async def _read(self) -> Json:
        try:
            live = await patiently(
                lambda: self._api.get(self._kind, self._name),
                seconds=self._patience.away_seconds,
                pause_seconds=self._patience.pause_seconds,
            )
        except NoAnswer as error:
            raise self._failed(error, "get") from error
        self._warnings |= dict.fromkeys(gitops_warnings(live))
        return live

    async def _refuse_claimed(self) -> None:
        try:
            noticed = await refuse_claimed(
                self._api,
                self._name,
                seconds=self._patience.away_seconds,
                pause_seconds=self._patience.pause_seconds,
            )
        except NoAnswer as error:
            raise self._failed(error, "list") from error
        self._warnings |= dict.fromkeys(noticed)

    def _failed(self, error: NoAnswer, verb: str) -> TargetFailed:
        namespace = self._api.namespace
        if isinstance(error, Absent):
            return TargetFailed(
                f"there is no {self._title} ({error}); apply the plan's first step by hand"
            )
        if isinstance(error, Forbidden):
            return TargetFailed(
                f"no permission to {verb} {self._title} ({error}); see"
                f" kubectl auth can-i {verb} virtualservices.{_GROUP} --namespace {namespace}"
            )
        if isinstance(error, Away):
            return TargetFailed(
                f"the API server is away ({error}): the routes stay as they are; run it again"
                " when kubectl get works"
            )
        return TargetFailed(f"the cluster refuses to {verb} {self._title}: {error}")


def _kind(api_version: str) -> Kind:
    group, _, version = api_version.partition("/")
    kind: Kind = create_namespaced_resource(group, version, "VirtualService", "virtualservices")
    return kind


def _lags(live: Json) -> bool:
    """Tell whether istiod says that it has seen an older generation only."""
    status = live.get("status")
    observed = status.get("observedGeneration") if isinstance(status, dict) else None
    # A number or, as protobuf writes 64 bits, a text.
    if observed is None or not str(observed).isdecimal():
        return False
    return int(observed) < int(live["metadata"].get("generation", 0))
