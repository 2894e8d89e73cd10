"""Makes pods of the Deployments in the tests' API server, as Kubernetes' controller does.

The image decides what becomes of them: ``never`` in its tag means never ready, ``crash`` that the
container ends again and again, ``evicted`` that the node has no room; all others get ready.
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.api_server import ApiServer

Json = dict[str, Any]
DEPLOYMENTS: Final = "apps/v1/deployments"
PODS: Final = "/v1/pods"
_TICK_SECONDS: Final = 0.02
#: How many ticks a pod takes to get ready.
_START_TICKS: Final = 3
_TROUBLE: Final = {
    "never": {"state": {"running": {}}, "ready": False},
    "crash": {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 3}},
        "ready": False,
    },
}


@dataclass
class _Set:
    """The pods of one Deployment: the template and the age in ticks of each."""

    pods: dict[str, tuple[str, int]] = field(default_factory=dict)
    number: int = 0
    since: float = 0.0
    template: str = ""
    complete: bool = False


class DeploymentController:
    """Reconciles every Deployment until the block of ``running`` ends."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._sets: dict[str, _Set] = {}
        #: What becomes of a Deployment's pods, whatever their image; with a second word, only of
        #: pods with that image.
        self.trouble: dict[str, str] = {}
        self._closing = threading.Event()
        server.collections |= {DEPLOYMENTS, PODS}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, name="deployment controller")
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            thread.join()

    def _run(self) -> None:
        while not self._closing.wait(_TICK_SECONDS):
            for key, document in list(self._server.objects.items()):
                if key[0] == DEPLOYMENTS:
                    self._reconcile(key[1], key[2], copy.deepcopy(document))

    def _reconcile(self, namespace: str, name: str, document: Json) -> None:
        # By its uid: one that was deleted and made again begins without pods.
        mine = self._sets.setdefault(document["metadata"]["uid"], _Set())
        spec = document["spec"]
        template = json.dumps(spec["template"], sort_keys=True)
        if template != mine.template:
            mine.template, mine.since, mine.complete = template, time.monotonic(), False
        mine.pods = {each: (of, age + 1) for each, (of, age) in mine.pods.items()}
        image = spec["template"]["spec"]["containers"][0]["image"]
        found, _, of_image = self.trouble.get(name, "").partition(" ")
        told = found if of_image in {"", image} else ""
        trouble = told or next(
            (each for each in ("never", "crash", "evicted") if each in image), ""
        )
        wanted = spec.get("replicas", 1)
        fresh = [each for each, (of, _) in mine.pods.items() if of == template]
        old = [each for each in mine.pods if each not in fresh]
        ready = [each for each in fresh if mine.pods[each][1] >= _START_TICKS and not trouble]
        # One pod more than wanted at most, and none fewer that is ready.
        if len(fresh) < wanted and len(mine.pods) <= wanted:
            mine.number += 1
            mine.pods[f"{name}-{mine.number}"] = template, 0
        elif old and (len(ready) + len(old) > wanted or not wanted):
            self._remove(mine, namespace, old[0])
        elif len(fresh) > wanted:
            self._remove(mine, namespace, fresh[-1])
        for each in fresh:
            self._show(namespace, each, spec, trouble)
        status: Json = {
            "observedGeneration": document["metadata"].get("generation", 1),
            "replicas": len(mine.pods),
            "updatedReplicas": len(fresh),
            "readyReplicas": len(ready) + len(old),
            "availableReplicas": len(ready) + len(old),
        }
        deadline = spec.get("progressDeadlineSeconds", 600)
        # Once a template is rolled out, missing pods are no failed progress any more.
        mine.complete |= len(ready) >= wanted and not old
        if time.monotonic() - mine.since > deadline and not mine.complete:
            status["conditions"] = [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
            ]
        if document.get("status") != status:
            # Of what this has seen: a template that was written meanwhile is not observed yet.
            with contextlib.suppress(KeyError):  # deleted meanwhile
                self._server.edit(
                    DEPLOYMENTS, namespace, name, lambda each: each.update(status=status)
                )

    def _remove(self, mine: _Set, namespace: str, pod: str) -> None:
        del mine.pods[pod]
        self._server.remove(PODS, namespace, pod)

    def _show(self, namespace: str, pod: str, spec: Json, trouble: str) -> None:
        container = {"name": "kv", "ready": True, "state": {"running": {}}}
        status: Json = {"phase": "Running", "containerStatuses": [container]}
        if trouble == "evicted":
            status = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
        elif trouble:
            container.update(copy.deepcopy(_TROUBLE[trouble]))
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": pod,
                "namespace": namespace,
                "labels": spec["template"]["metadata"]["labels"],
            },
            "status": status,
        }
        known = self._server.objects.get((PODS, namespace, pod))
        if known is None or known["status"] != status:
            self._server.put(PODS, document)


def deployment(
    name: str, namespace: str, track: str, image: str, replicas: int, **more: Any
) -> Json:
    """Return a Deployment whose pods have the labels ``app`` and ``track``."""
    labels = {"app": "kv", "track": track}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, "version": image.rpartition(":")[2]}},
                "spec": {"containers": [{"name": "kv", "image": image}]},
            },
            **more,
        },
    }
