"""One object with routes in a cluster: read it, and write the weights of a plan's steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lightkube import AsyncClient

from ..plan.model import Plan, Step
from ..runner.ports import RoutesEdited, TargetFailed
from .api_client import (
    ApiClient,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    Json,
    NotFound,
    Unauthorized,
    Unavailable,
)
from .cluster_client import FIELD_MANAGER
from .field_ownership import give_back
from .other_controllers import (
    gitops_warnings,
    last_field_manager,
    refuse_claimed,
    refuse_controlled,
)
from .route_kinds import ROUTE_KINDS, resource_of
from .weights_patch import PatchBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits of reading and writing the routes, in seconds.

    ``retry_seconds``: how long to repeat a request while the API server is unavailable. Short: the
    controller looks at the evidence again before it tries again.
    ``backoff_seconds``: the first pause between two attempts.
    ``max_attempts``: how often to write if others write at the same time.
    ``confirm_seconds``: how long istiod may take to report that it has seen them, if it does.
    ``propagation_seconds``: how long to wait until the proxies have the routes; no API shows this.
    """

    retry_seconds: float = 3.0
    backoff_seconds: float = 0.2
    max_attempts: int = 8
    confirm_seconds: float = 15.0
    propagation_seconds: float = 5.0


class LiveRoutes:
    """The object at a ``place`` among those of each step.

    ``warnings`` are findings that do not stop a rollout.
    """

    def __init__(
        self,
        client: AsyncClient,
        plan: Plan,
        timeouts: Timeouts,
        why_not: Callable[[], str],
        place: int = 0,
    ) -> None:
        self._why_not = why_not
        self._timeouts = timeouts
        self._plan = plan
        self._api = ApiClient(
            client,
            plan.namespace,
            retry_seconds=timeouts.retry_seconds,
            backoff_seconds=timeouts.backoff_seconds,
        )
        first = plan.steps[0].objects[place]
        self.name = first.routes.name
        self.title = first.title
        self._routes = ROUTE_KINDS[first.routes.kind]
        self._kind = resource_of(self._routes, str(first.document["apiVersion"]).partition("/")[2])
        self._patches = PatchBuilder(plan, self._routes, place)
        self.warnings: dict[str, None] = {}

    async def check(self) -> None:
        """Raise ManagedByOther if another tool sets weights, or TargetFailed."""
        refuse_controlled(await self._read())
        await self.refuse_claimed()

    async def refuse_claimed(self) -> None:
        """Raise ManagedByOther if another controller names this object as its own."""
        try:
            warnings = await refuse_claimed(self._api, self._routes.kind, self.name)
        except ApiError as error:
            raise self._failed(error, "list") from error
        self.warnings |= dict.fromkeys(warnings)

    async def in_force(self, step: Step) -> bool:
        """Return True if the routes are those of the step; raise TargetFailed if unreadable."""
        return self._is_step(await self._read(), step)

    async def find_step(self) -> Step | None:
        """Return the step whose routes these are, None if there is none; raise TargetFailed."""
        live = await self._read()
        return next((each for each in self._plan.steps if self._is_step(live, each)), None)

    async def preview(self, step: Step) -> list[Json]:
        """Return the operations by which ``patch`` would change the live routes now."""
        live = await self._read()
        edits = self._patches.build(live, step)
        return [*edits.edits] if edits else []

    async def give_back(self) -> None:
        """Let others apply the routes again; raise TargetFailed."""
        try:
            await give_back(self._api, self._kind, self.name)
        except ApiError as error:
            raise self._failed(error, "patch") from error

    async def patch(self, step: Step) -> bool:
        """Patch the live routes to the step; return True if it changed."""
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
                    f"the cluster rejects {self.title} at {step.name}: {failed};"
                    " correct the step's manifest, or see which admission webhook rejects it"
                )
            tested = version
            if why := self._why_not():
                raise TargetFailed(why)
            try:
                await self._api.json_patch(self._kind, self.name, patch.operations(live))
            except (Conflict, Invalid, Unavailable) as error:
                failed = error
            except ApiError as error:
                raise self._failed(error, "patch") from error
            else:
                return True
        if isinstance(failed, Unavailable):
            raise self._failed(failed, "patch") from failed
        raise TargetFailed(
            f"{self.title} was changed by others, {self._timeouts.max_attempts} times, before"
            f" {step.name} could be applied; see who writes it: kubectl get --show-managed-fields"
        ) from failed

    async def confirm(self, step: Step) -> None:
        """Wait until the step is read back, and until istiod has seen it if it reports that."""
        deadline = asyncio.get_running_loop().time() + self._timeouts.confirm_seconds
        attempts = 0
        while True:
            live = await self._read()
            overwritten = bool(self._patches.build(live, step))
            if not overwritten and not self._istiod_lags(live):
                return
            attempts += 1
            pause = self._api.backoff(attempts)
            if asyncio.get_running_loop().time() + pause > deadline:
                break
            await asyncio.sleep(pause)
        if overwritten:
            writer = last_field_manager(live, other_than=FIELD_MANAGER) or "somebody"
            raise RoutesEdited(
                f"{self.title}: {writer} undid {step.name} right after it was applied;"
                " only one of the two may set the weights"
            )
        raise TargetFailed(
            f"{step.name} is written, but istiod has not seen it within"
            f" {self._timeouts.confirm_seconds:g} s (observedGeneration"
            f" {self._routes.observed_generation(live)}); see istioctl proxy-status"
        )

    def _is_step(self, live: Json, step: Step) -> bool:
        try:
            return not self._patches.build(live, step)
        except TargetFailed:
            return False

    def _istiod_lags(self, live: Json) -> bool:
        """Return True if istiod reports an older generation than the object's."""
        observed = self._routes.observed_generation(live)
        return observed is not None and observed < int(live["metadata"].get("generation", 0))

    async def _read(self) -> Json:
        try:
            live = await self._api.get(self._kind, self.name)
        except ApiError as error:
            raise self._failed(error, "get") from error
        self.warnings |= dict.fromkeys(gitops_warnings(live))
        return live

    def _failed(self, error: ApiError, verb: str) -> TargetFailed:
        namespace = self._api.namespace
        if isinstance(error, NotFound):
            return TargetFailed(
                f"there is no {self.title} ({error}); apply the plan's first step by hand"
            )
        if isinstance(error, Unauthorized):
            return TargetFailed(
                f"the API server doesn't accept the credentials ({error}); renew them: they are"
                " read again at each attempt"
            )
        if isinstance(error, Forbidden):
            return TargetFailed(
                f"no permission to {verb} {self.title} ({error}); see"
                f" kubectl auth can-i {verb} {self._routes.plural}.{self._routes.group}"
                f" --namespace {namespace}"
            )
        if isinstance(error, Unavailable):
            return TargetFailed(
                f"the API server is unavailable ({error}); see whether kubectl get works"
            )
        return TargetFailed(
            f"the cluster refuses to {verb} {self.title}: {error}; try the same with kubectl"
        )
