"""What the rendered pods may use: all that they can be made to keep fits into it."""

from __future__ import annotations

from typing import Final

from svc.serving.heads import MAX_HEAD_BYTES
from svc.serving.listener import ADMIN_CONNECTIONS
from svc.stores.batcher import MAX_IN_FLIGHT
from svc.stores.watching.expiries import MOST as MOST_EXPIRIES
from svc.stores.watching.hub import MOST_REMEMBERED
from svc.stores.wire import MOST_READ_BYTES
from svc.telemetry.logs import MAX_QUEUED
from svc.telemetry.settings import load_tracing
from tests.kustomize.installations import Objects
from tests.kustomize.service_pods import environ_of, service_pods, settings_of
from tests.support.manifests import (
    containers,
    templates,
    title,
)

MIB: Final = 2**20
#: Memory of the process without any client, with tracing.
IDLE_BYTES: Final = 70 * MIB
#: What a connection takes beside its head, which the parser and the request each keep.
CONNECTION_BYTES: Final = 10 * 1024
HEAD_COPIES: Final = 2
#: A name of up to 521 bytes, in a dict and in a heap.
WATCHED_NAME_BYTES: Final = 1024
#: The most that a log line and a span take in their queues, and what libraries cache.
LINE_BYTES: Final = 2 * 1024
SPAN_BYTES: Final = 20 * 1024
CACHED_BYTES: Final = 6 * MIB
#: What the kubelet keeps of a container's log by default: five files of 10 MiB.
LOG_BYTES: Final = 5 * 10 * MIB
#: How often a byte of the budget is in memory while it is parsed and sent on.
COPIES: Final = 4


def test_all_that_clients_can_make_a_pod_keep_fits_into_its_memory(objects: Objects) -> None:
    for _, template in service_pods(objects):
        settings = settings_of(objects, template)
        (container,) = containers(template)
        limit = bytes_of(container["resources"]["limits"]["memory"])
        tracing = load_tracing(environ_of(objects, template))

        connections = settings.max_connections + ADMIN_CONNECTIONS
        kept = {
            "connections": connections * (CONNECTION_BYTES + HEAD_COPIES * MAX_HEAD_BYTES),
            "bodies, values, answers": COPIES * settings.max_buffered_bytes,
            "reads": MAX_IN_FLIGHT * MOST_READ_BYTES,
            "watches": (MOST_EXPIRIES + MOST_REMEMBERED) * WATCHED_NAME_BYTES,
            "log lines": MAX_QUEUED * LINE_BYTES,
            "spans": SPAN_BYTES * (0 if tracing is None else tracing.max_queue_size),
            "caches": CACHED_BYTES,
        }
        assert IDLE_BYTES + sum(kept.values()) <= limit, kept


def test_redis_has_memory_to_spare_beside_what_it_may_hold(objects: Objects) -> None:
    for owner, template in templates(objects):
        for container in containers(template):
            if container["name"] == "redis":
                limit = bytes_of(container["resources"]["limits"]["memory"])
                flag, may_hold = container["args"]
                assert (flag, title(owner)) == ("--maxmemory", "StatefulSet/redis")
                assert bytes_of(may_hold) <= limit / 2


def bytes_of(text: str) -> int:
    units = {"mb": MIB, "Mi": MIB, "Gi": 1024 * MIB}
    return int(text[:-2]) * units[text[-2:]]


def test_every_container_has_requests_and_limits_and_its_memory_to_itself(
    objects: Objects,
) -> None:
    for _, template in templates(objects):
        for container in containers(template):
            requests, limits = (container["resources"][name] for name in ("requests", "limits"))
            assert requests.keys() == limits.keys() == {"cpu", "memory", "ephemeral-storage"}
            assert requests["memory"] == limits["memory"]


def test_a_pods_log_and_its_scratch_files_fit_into_its_ephemeral_storage(objects: Objects) -> None:
    """The kubelet counts both, and evicts a pod that goes beyond its limits."""
    for owner, template in templates(objects):
        limits = [each["resources"]["limits"] for each in containers(template)]
        files = sum(
            bytes_of(volume["emptyDir"]["sizeLimit"])
            for volume in template["spec"].get("volumes", [])
            if "emptyDir" in volume
        )

        needed = len(limits) * LOG_BYTES + files

        assert sum(bytes_of(each["ephemeral-storage"]) for each in limits) > needed, title(owner)
