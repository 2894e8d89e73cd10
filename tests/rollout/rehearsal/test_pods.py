"""Which pods of the repository's own manifests are run, and as what."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rollout.evidence.counts import Arm
from rollout.rehearsal.objects import read_objects
from rollout.rehearsal.pods import PodPlan, PodPlans, ReleaseOptions, plan_pods
from tests.rollout.rehearsal.plans import canary_documents, documents

CANARY = {"stable": Arm.STABLE, "canary": Arm.CANARY}


def planned(
    options: ReleaseOptions | None = None,
    directories: tuple[str, ...] = (),
    subsets: Mapping[str, Arm] = CANARY,
) -> PodPlans:
    found = documents(*directories) if directories else canary_documents()
    return plan_pods(read_objects(found), subsets, options or ReleaseOptions())


def by_name(plans: PodPlans) -> dict[str, PodPlan]:
    return {each.name: each for each in plans.pods}


def test_each_release_has_a_pod_and_redis_none() -> None:
    plans = planned()

    assert {each.name: each.arm for each in plans.pods} == {
        "kv-stable-0": Arm.STABLE,
        "kv-canary-0": Arm.CANARY,
    }
    assert "not started: StatefulSet redis, as it is no tallykv" in plans.notes


def test_a_pod_is_what_its_manifest_says() -> None:
    pod = by_name(planned())["kv-canary-0"]

    assert pod.environ["KV_TRACK"] == "canary"
    assert pod.environ["KV_POD"] == "kv-canary-0"
    assert pod.environ["KV_VERSION"] == pod.version == "0.2.0"
    assert pod.environ["KV_LOG_FORMAT"] == "json"
    assert "KV_STORE_URL" not in pod.environ
    assert (pod.traffic_port, pod.admin_port) == (8080, 9102)
    assert pod.command is None


def test_both_releases_share_their_store_and_a_shadow_has_its_own() -> None:
    pods = by_name(planned(directories=("gateway", "mirror/1-workloads")))

    assert pods["kv-stable-0"].store == "kv/kv-redis/url"
    assert pods["kv-shadow-0"].store == "kv/kv-redis-shadow/url"
    assert pods["kv-shadow-0"].arm is None


def test_tracing_is_off_unless_asked_for() -> None:
    silent = by_name(planned())["kv-stable-0"].environ
    traced = by_name(planned(ReleaseOptions(tracing=True)))["kv-stable-0"].environ

    assert not [name for name in silent if name.startswith("OTEL_")]
    assert traced["OTEL_SERVICE_NAME"] == "tallykv"
    assert "k8s.pod.name=kv-stable-0" in traced["OTEL_RESOURCE_ATTRIBUTES"]


@pytest.mark.parametrize("replicas", [1, 3])
def test_there_are_as_many_pods_as_asked_for(replicas: int) -> None:
    names = {each.name for each in planned(ReleaseOptions(replicas=replicas)).pods}

    assert names == {f"kv-{track}-{i}" for track in CANARY for i in range(replicas)}


def test_an_arm_may_have_an_environment_of_its_own() -> None:
    pods = by_name(planned(ReleaseOptions(environ={Arm.CANARY: {"KV_LOG_FORMAT": "text"}})))

    assert pods["kv-canary-0"].environ["KV_LOG_FORMAT"] == "text"
    assert pods["kv-stable-0"].environ["KV_LOG_FORMAT"] == "json"


def test_another_service_takes_the_port_that_serves_requests() -> None:
    pods = by_name(planned(ReleaseOptions(commands={Arm.CANARY: ("server", "$PORT")})))

    canary = pods["kv-canary-0"]
    assert (canary.command, canary.store) == (("server", "$PORT"), None)
    assert (canary.traffic_port, canary.admin_port) == (8080, None)
    assert pods["kv-stable-0"].command is None


def test_what_was_applied_last_counts() -> None:
    current = canary_documents()
    rules = [each for each in current if each["kind"] == "DestinationRule"]
    assert len(rules) > 1

    objects = read_objects(current).objects

    [rule] = objects.destination_rules
    assert [subset.name for subset in rule.spec.subsets] == ["stable", "canary"]


def test_what_is_not_rehearsed_is_listed() -> None:
    notes = read_objects(canary_documents()).notes

    assert any(note.startswith("not rehearsed: PeerAuthentication kv/kv") for note in notes)
    assert not [note for note in notes if "VirtualService" in note or "Service kv" in note]
