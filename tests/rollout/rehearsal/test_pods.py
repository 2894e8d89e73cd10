"""Which pods of the repository's own manifests run, with which settings."""

from __future__ import annotations

import pytest

from rollout.evidence.counts import Arm
from rollout.plan.releases import Releases
from rollout.rehearsal.applied_manifests import read_applied_manifests
from rollout.rehearsal.not_rehearsed import not_rehearsed
from rollout.rehearsal.pod_specs import PodOptions, PodSpec, PodSpecs, build_pod_specs
from tests.rollout.rehearsal.plans import canary_documents, documents

CANARY = Releases("stable", "canary", "kv")


def pod_specs(
    options: PodOptions | None = None,
    directories: tuple[str, ...] = (),
    releases: Releases = CANARY,
) -> PodSpecs:
    found = documents(*directories) if directories else canary_documents()
    return build_pod_specs(read_applied_manifests(found), releases, options or PodOptions())


def by_name(specs: PodSpecs) -> dict[str, PodSpec]:
    return {each.name: each for each in specs.pods}


def test_each_release_has_a_pod_and_redis_none() -> None:
    specs = pod_specs()

    assert {each.name: each.arm for each in specs.pods} == {
        "kv-stable-0": Arm.STABLE,
        "kv-canary-0": Arm.CANARY,
    }
    assert "not started: StatefulSet redis: its image is not tallykv" in specs.notes


def test_a_pod_is_what_its_manifest_says() -> None:
    pod = by_name(pod_specs())["kv-canary-0"]

    assert pod.environ["KV_TRACK"] == "canary"
    assert pod.environ["KV_POD"] == "kv-canary-0"
    assert pod.environ["KV_VERSION"] == pod.version == "0.2.0"
    assert pod.environ["KV_LOG_FORMAT"] == "json"
    assert "KV_STORE_URL" not in pod.environ
    assert (pod.traffic_port, pod.admin_port) == (8080, 9102)
    assert pod.command is None


def test_both_releases_share_their_store_and_a_shadow_has_its_own() -> None:
    pods = by_name(pod_specs(directories=("gateway", "mirror/1-workloads")))

    assert pods["kv-stable-0"].store == "kv/kv-redis/url"
    assert pods["kv-shadow-0"].store == "kv/kv-redis-shadow/url"
    assert pods["kv-shadow-0"].arm is None


def test_pods_export_no_traces() -> None:
    environ = by_name(pod_specs())["kv-stable-0"].environ

    assert not [name for name in environ if name.startswith("OTEL_")]


@pytest.mark.parametrize("replicas", [1, 3])
def test_there_are_as_many_pods_as_asked_for(replicas: int) -> None:
    names = {each.name for each in pod_specs(PodOptions(replicas=replicas)).pods}

    assert names == {f"kv-{track}-{i}" for track in CANARY.names for i in range(replicas)}


def test_an_arm_may_have_an_environment_of_its_own() -> None:
    pods = by_name(pod_specs(PodOptions(environ={Arm.CANARY: {"KV_LOG_FORMAT": "text"}})))

    assert pods["kv-canary-0"].environ["KV_LOG_FORMAT"] == "text"
    assert pods["kv-stable-0"].environ["KV_LOG_FORMAT"] == "json"


def test_another_service_takes_the_port_that_serves_requests() -> None:
    pods = by_name(pod_specs(PodOptions(commands={Arm.CANARY: ("server", "$PORT")})))

    canary = pods["kv-canary-0"]
    assert (canary.command, canary.store) == (("server", "$PORT"), None)
    assert (canary.traffic_port, canary.admin_port) == (8080, None)
    assert pods["kv-stable-0"].command is None


def test_what_was_applied_last_counts() -> None:
    current = canary_documents()
    rules = [each for each in current if each["kind"] == "DestinationRule"]
    assert len(rules) > 1

    objects = read_applied_manifests(current).objects

    [rule] = objects.destination_rules
    assert [subset.name for subset in rule.spec.subsets] == ["stable", "canary"]


def test_what_is_not_rehearsed_is_listed() -> None:
    notes = [
        str(each) for each in not_rehearsed(read_applied_manifests(canary_documents()).documents)
    ]

    assert any(note.startswith("PeerAuthentication kv/kv") for note in notes)
    assert not [note for note in notes if "VirtualService" in note or "Service kv" in note]
