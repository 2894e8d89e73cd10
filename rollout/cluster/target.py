"""A rollout's target in a cluster: write the weights of a live VirtualService, nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from lightkube import AsyncClient
from lightkube.generic_resource import create_namespaced_resource

from ..plan.model import Plan, Step
from ..runner.ports import ManagedByOther, TargetFailed
from .api_client import (
    ApiClient,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    Json,
    Kind,
    NotFound,
    Unavailable,
)
from .kubeconfig import FIELD_MANAGER
from .other_controllers import (
    gitops_warnings,
    last_field_manager,
    refuse_claimed,
    refuse_controlled,
)
from .virtual_service_patch import PatchBuilder

_GROUP: Final = "networking.istio.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits of reading and writing the VirtualService, in seconds.

    ``retry_seconds``: how long to repeat a request while the API server is unavailable.
    ``backoff_seconds``: the first pause between two attempts.
    ``max_attempts``: how often to write if others write at the same time.
    ``confirm_seconds``: how long istiod may take to set status.observedGeneration, if it sets it.
    ``propagation_seconds``: how long to wait until the proxies have the routes; no API shows this.
    """

    retry_seconds: float = 30.0
    backoff_seconds: float = 0.2
    max_attempts: int = 8
    confirm_seconds: float = 15.0
    propagation_seconds: float = 5.0


class ClusterTarget:
    """Puts a plan's steps in force by patching its VirtualService.

    ``warnings`` are findings that do not stop a rollout.
    """

    def __init__(self, client: AsyncClient, plan: Plan, timeouts: Timeouts | None = None) -> None:
        self._timeouts = timeouts or Timeouts()
        self._api = ApiClient(
            client,
            plan.namespace,
            retry_seconds=self._timeouts.retry_seconds,
            backoff_seconds=self._timeouts.backoff_seconds,
        )
        self._name = plan.virtual_service
        self._title = f"VirtualService {plan.namespace}/{plan.virtual_service}"
        self._kind = _kind(str(plan.steps[0].document["apiVersion"]))
        self._patches = PatchBuilder(plan)
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    async def check(self) -> tuple[str, ...]:
        """Return warnings; raise ManagedByOther if another tool sets weights, or TargetFailed."""
        refuse_controlled(await self._read())
        await self._refuse_claimed()
        return self.warnings

    async def apply(self, step: Step) -> None:
        """Put a step in force; return when istiod has seen it and propagation_seconds have passed.

        Raise ManagedByOther if somebody else sets the weights or the routes are not the plan's, or
        TargetFailed.
        """
        # A rollback must not wait for lists. The object's own metadata is checked anyway.
        if not self._patches.is_rollback(step):
            await self._refuse_claimed()
        changed = await self._patch_weights(step)
        await self._confirm(step)
        if changed:
            await asyncio.sleep(self._timeouts.propagation_seconds)

    async def in_force(self, step: Step) -> bool:
        """Return True if the routes are those of the step; raise TargetFailed if unreadable."""
        live = await self._read()
        try:
            return not self._patches.build(live, step)
        except TargetFailed:
            return False

    async def _patch_weights(self, step: Step) -> bool:
        """Patch the live VirtualService to the step; return True if it changed."""
        tested = None
        failed: ApiError | None = None
        for attempts in range(self._timeouts.max_attempts):
            if attempts:
                await asyncio.sleep(self._api.backoff(attempts))
            live = await self._read()
            refuse_controlled(live)
            patch = self._patches.build(live, step)
            if not patch:
                return bool(attempts)  # an earlier attempt was applied, only its response was lost
            version = live["metadata"]["resourceVersion"]
            if isinstance(failed, Invalid) and version == tested:
                # The object is unchanged, so no test failed: the patched object is invalid.
                raise TargetFailed(
                    f"the cluster rejects {self._title} at {step.name}: {failed};"
                    " correct the step's manifest, or see which admission webhook rejects it"
                )
            tested = version
            try:
                await self._api.json_patch(self._kind, self._name, patch.operations(live))
            except (Conflict, Invalid, Unavailable) as error:
                failed = error
            except ApiError as error:
                raise self._failed(error, "patch") from error
            else:
                return True
        if isinstance(failed, Unavailable):
            raise self._failed(failed, "patch") from failed
        raise TargetFailed(
            f"{self._title} was changed by others, {self._timeouts.max_attempts} times, before"
            f" {step.name} could be applied; see who writes it: kubectl get --show-managed-fields"
        ) from failed

    async def _confirm(self, step: Step) -> None:
        """Wait until the step is read back, and until istiod has seen it if it reports that."""
        deadline = asyncio.get_running_loop().time() + self._timeouts.confirm_seconds
        attempts = 0
        while True:
            live = await self._read()
            overwritten = bool(self._patches.build(live, step))
            if not overwritten and not _istiod_lags(live):
                return
            attempts += 1
            pause = self._api.backoff(attempts)
            if asyncio.get_running_loop().time() + pause > deadline:
                break
            await asyncio.sleep(pause)
        if overwritten:
            writer = last_field_manager(live, other_than=FIELD_MANAGER) or "somebody"
            raise ManagedByOther(
                f"{self._title}: {writer} undid {step.name} right after it was applied;"
                " only one of the two may set the weights"
            )
        raise TargetFailed(
            f"{step.name} is written, but istiod has not seen it within"
            f" {self._timeouts.confirm_seconds:g} s (status.observedGeneration"
            f" {live['status']['observedGeneration']}); see istioctl proxy-status"
        )

    async def _read(self) -> Json:
        try:
            live = await self._api.get(self._kind, self._name)
        except ApiError as error:
            raise self._failed(error, "get") from error
        self._warnings |= dict.fromkeys(gitops_warnings(live))
        return live

    async def _refuse_claimed(self) -> None:
        try:
            warnings = await refuse_claimed(self._api, self._name)
        except ApiError as error:
            raise self._failed(error, "list") from error
        self._warnings |= dict.fromkeys(warnings)

    def _failed(self, error: ApiError, verb: str) -> TargetFailed:
        namespace = self._api.namespace
        if isinstance(error, NotFound):
            return TargetFailed(
                f"there is no {self._title} ({error}); apply the plan's first step by hand"
            )
        if isinstance(error, Forbidden):
            return TargetFailed(
                f"no permission to {verb} {self._title} ({error}); see"
                f" kubectl auth can-i {verb} virtualservices.{_GROUP} --namespace {namespace}"
            )
        if isinstance(error, Unavailable):
            return TargetFailed(
                f"the API server is unavailable ({error}); run the same command again when kubectl"
                " get works"
            )
        return TargetFailed(
            f"the cluster refuses to {verb} {self._title}: {error}; try the same with kubectl"
        )


def _kind(api_version: str) -> Kind:
    group, _, version = api_version.partition("/")
    kind: Kind = create_namespaced_resource(group, version, "VirtualService", "virtualservices")
    return kind


def _istiod_lags(live: Json) -> bool:
    """Return True if istiod reports an older generation than the object's."""
    status = live.get("status")
    observed = status.get("observedGeneration") if isinstance(status, dict) else None
    # An integer, or a string: protobuf's JSON writes 64-bit integers as strings.
    if observed is None or not str(observed).isdecimal():
        return False
    return int(observed) < int(live["metadata"].get("generation", 0))
