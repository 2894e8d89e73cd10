"""The Deployments of a plan: their images, their number of pods, and whether the pods are ready."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from lightkube import AsyncClient
from lightkube.generic_resource import create_namespaced_resource

from ..plan.model import Plan
from ..runner.ports import TargetFailed
from ..runner.release_state import ReleaseState
from ..runner.workloads import Pods
from .api_client import ApiClient, ApiError, Conflict, Forbidden, Invalid, Json, Kind, NotFound
from .autoscalers import Rulers, refusals
from .field_ownership import give_back
from .live_routes import Timeouts
from .pod_health import is_complete, judge_pods
from .pod_templates import digest, promoted_template, set_images

#: On the stable Deployment: its template before the promotion. It is as secret as the template.
BEFORE: Final = "tallykv-rollout/template-before"
#: Generic kinds, because lightkube's own models drop fields that are newer than they are.
_DEPLOYMENT: Final[Kind] = create_namespaced_resource("apps", "v1", "Deployment", "deployments")
_POD: Final[Kind] = create_namespaced_resource("", "v1", "Pod", "pods")
_RULERS: Final[Mapping[str, Kind]] = {
    plural: create_namespaced_resource(group, version, kind, plural)
    for group, version, kind, plural in (
        ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
        ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    )
}
#: Returns the JSON patch that a Deployment needs, empty for none.
_Change = Callable[[Json, Rulers], list[Json]]


class ClusterWorkloads:
    """Fills the port Workloads with two Deployments. It looks before each write."""

    def __init__(
        self,
        client: AsyncClient,
        plan: Plan,
        timeouts: Timeouts | None = None,
        *,
        why_not: Callable[[], str] = lambda: "",
    ) -> None:
        """``why_not`` returns why nothing may be written now, an empty text if it may."""
        if plan.workloads is None:
            raise ValueError("the plan has no workloads")
        self._why_not = why_not
        self._timeouts = timeouts or Timeouts()
        self._api = ApiClient(
            client,
            plan.namespace,
            retry_seconds=self._timeouts.retry_seconds,
            backoff_seconds=self._timeouts.backoff_seconds,
        )
        self._stable = plan.workloads.stable
        self._canary = plan.workloads.canary
        self._known: Rulers | None = None

    async def check(self) -> None:
        """Raise TargetFailed with every reason why these workloads can't be released."""
        stable, canary = await self.get(self._stable), await self.get(self._canary)
        found = [*refusals(await self._read_rulers(), stable, canary, _wanted(stable))]
        if found:
            raise TargetFailed("\n".join(found))

    async def count_stable(self) -> int:
        """Return how many pods the stable Deployment should have now."""
        return _wanted(await self.get(self._stable))

    async def plan_canary(self, release: ReleaseState, share: float) -> tuple[list[Json], Json]:
        """Return the patch by which ``prepare`` would change the canary, and the canary."""
        canary = await self.get(self._canary)
        rulers = await self._read_rulers()
        return self._canary_patch(canary, rulers, release, share), canary

    async def prepare(self, release: ReleaseState, share: float) -> Pods:
        """Give the canary its images and pods for its share; an autoscaler's number is left."""
        return await self._change(
            self._canary, lambda live, rulers: self._canary_patch(live, rulers, release, share)
        )

    async def promote(self, release: ReleaseState) -> Pods:
        """Give the stable Deployment the canary's template; it rolls by its own strategy."""
        canary = await self.get(self._canary)

        def change(live: Json, rulers: Rulers) -> list[Json]:
            template = promoted_template(live, canary)
            written, present = _before(live), live["spec"]["template"]
            # The canary's template may change between two calls: the way back is to the first one.
            again = bool(written) and written.get("given") == digest(present)
            before = written["template"] if again else present
            given = {"given": digest(template), "template": before}
            # By its digest, because a webhook may have changed what was written.
            patch = []
            if template != present and written.get("given") != given["given"]:
                patch = [_replace("/spec/template", template), *_annotate(live, given)]
            if not rulers.owns_replicas(live) and _wanted(live) < release.stable_pods:
                patch.append(_replace("/spec/replicas", release.stable_pods))
            return patch

        return await self._change(self._stable, change)

    async def restore(self) -> Pods:
        """Give the stable Deployment the template that it had before the promotion."""

        def change(live: Json, _: Rulers) -> list[Json]:
            before = _before(live)
            if not before:
                return []
            return [_replace("/spec/template", before["template"]), *_annotate(live, None)]

        return await self._change(self._stable, change)

    async def retire(self) -> None:
        """Scale the canary to no pods, unless an autoscaler owns it; forget the old template.

        Others may apply both Deployments again.
        """

        def scale(live: Json, rulers: Rulers) -> list[Json]:
            owned = rulers.owns_replicas(live)
            return [] if owned or _wanted(live) == 0 else [_replace("/spec/replicas", 0)]

        def forget(live: Json, _: Rulers) -> list[Json]:
            return _annotate(live, None) if _before(live) else []

        await self._patch(self._canary, scale)
        await self._patch(self._stable, forget)
        for name in (self._canary, self._stable):
            # Whoever applies the Deployment next may have to force it; that is no reason to wait.
            with contextlib.suppress(ApiError):
                await give_back(self._api, _DEPLOYMENT, name)

    async def get(self, name: str) -> Json:
        """Return a Deployment; raise TargetFailed."""
        try:
            return await self._api.get(_DEPLOYMENT, name)
        except ApiError as error:
            raise self._failed(error, "get", name) from error

    def _canary_patch(
        self, live: Json, rulers: Rulers, release: ReleaseState, share: float
    ) -> list[Json]:
        patch = []
        template = set_images(live["spec"]["template"], release.images, self._canary)
        if template != live["spec"]["template"]:
            patch.append(_replace("/spec/template", template))
        wanted = max(1, math.ceil(release.stable_pods * share))
        if rulers.owns_replicas(live):
            # With no pods an autoscaler sleeps: Kubernetes leaves it to the owner to wake it.
            wanted = rulers.least_pods(live) if _wanted(live) == 0 else _wanted(live)
        if _wanted(live) < wanted:
            patch.append(_replace("/spec/replicas", wanted))
        return patch

    async def _change(self, name: str, change: _Change) -> Pods:
        live = await self._patch(name, change)
        if is_complete(live):
            return judge_pods(live, ())
        try:
            labels = live["spec"]["selector"].get("matchLabels") or {}
            pods = await self._api.list(_POD, labels)
        except Forbidden:
            pods = []  # then the reasons are unknown, and the number is still right
        except ApiError as error:
            raise self._failed(error, "list the pods of", name) from error
        return judge_pods(live, pods)

    async def _patch(self, name: str, change: _Change) -> Json:
        """Write what ``change`` asks for, unless others write in between each time."""
        for attempts in range(self._timeouts.max_attempts):
            if attempts:
                await asyncio.sleep(self._api.backoff(attempts))
            live = await self.get(name)
            if not change(live, self._known or await self._read_rulers()):
                return live
            # Before a write, see whether an autoscaler has come or gone.
            if not (patch := change(live, await self._read_rulers())):
                return live
            version = live["metadata"]["resourceVersion"]
            if why := self._why_not():
                raise TargetFailed(why)
            unchanged = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
            try:
                return await self._api.json_patch(_DEPLOYMENT, name, [unchanged, *patch])
            except Conflict:
                continue
            except Invalid as error:
                if (await self.get(name))["metadata"]["resourceVersion"] == version:
                    raise self._failed(error, "patch", name) from error
            except ApiError as error:
                raise self._failed(error, "patch", name) from error
        raise TargetFailed(
            f"Deployment {self._api.namespace}/{name} was changed by others each time before this"
            " could write it; see who does: kubectl get --show-managed-fields"
        )

    async def _read_rulers(self) -> Rulers:
        found = {}
        for plural, kind in _RULERS.items():
            try:
                found[plural] = await self._api.list(kind)
            except NotFound:
                found[plural] = []  # the cluster does not know the kind
            except ApiError as error:
                raise TargetFailed(
                    f"whether one of the {plural} rules over the pods is unknown: {error}; grant"
                    f" list on {plural} in {self._api.namespace}"
                ) from error
        self._known = Rulers(*found.values())
        return self._known

    def _failed(self, error: ApiError, verb: str, name: str) -> TargetFailed:
        return TargetFailed(
            f"can't {verb} Deployment {self._api.namespace}/{name}: {error}; see kubectl auth can-i"
            " --list"
        )


def _wanted(deployment: Json) -> int:
    return int(deployment["spec"].get("replicas", 1))


def _replace(path: str, value: Any) -> Json:
    # "add" replaces what is there, and needs nothing to be there.
    return {"op": "add", "path": path, "value": value}


def _before(deployment: Json) -> Json:
    """Return what ``promote`` noted, an empty mapping if nothing or something unreadable."""
    text = (deployment["metadata"].get("annotations") or {}).get(BEFORE)
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "template" in found else {}


def _annotate(deployment: Json, note: Json | None) -> list[Json]:
    annotations = dict(deployment["metadata"].get("annotations") or {})
    annotations.pop(BEFORE, None)
    if note is not None:
        annotations[BEFORE] = json.dumps(note)
    return [_replace("/metadata/annotations", annotations)]
