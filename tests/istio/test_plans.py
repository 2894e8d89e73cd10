"""The plans under istio/, directory by directory: every route always has a destination."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.istio.test_routes import ISTIO, Json, routes, steps, weights
from tests.support.manifests import ROOT, containers, is_selected, of_kind, render, templates

#: ("apply" or "delete", directory). The tests add the ``steps``.
Walk = Sequence[tuple[str, str]]

CANARY_STEPS: Final = steps("istio/canary")
BEFORE: Final = [("apply", "istio/gateway")]


def applied(*directories: str) -> list[tuple[str, str]]:
    return [("apply", directory) for directory in directories]


def removed(strategy: str) -> list[tuple[str, str]]:
    """Return 9-remove in its order. Workloads are deleted, the others applied."""
    below = sorted(
        path.parent for path in (ISTIO / strategy / "9-remove").glob("*/kustomization.yaml")
    )
    return [
        ("delete" if path.name.endswith("workloads") else "apply", str(path.relative_to(ROOT)))
        for path in below
    ]


#: Each plan as its README has it, with an abort in between.
WALKS: Final[dict[str, list[tuple[str, str]]]] = {
    "canary": [
        *BEFORE,
        *applied("istio/canary/1-workloads", "istio/canary/2-subsets", *CANARY_STEPS),
        *applied("istio/canary/steps/00", "istio/canary/steps/100", "istio/canary/4-promote"),
        *applied("istio/canary/steps/50", "istio/canary/steps/00", "istio/gateway/stable"),
        *removed("canary"),
    ],
    "sticky": [
        *BEFORE,
        *applied("istio/canary/1-workloads", "istio/canary/2-subsets", "istio/canary/steps/00"),
        *applied(*steps("istio/canary/sticky"), "istio/canary/steps/00", "istio/gateway/stable"),
        *removed("canary"),
    ],
    "blue-green": [
        *BEFORE,
        *applied("istio/blue-green/1-workloads", "istio/blue-green/2-subsets"),
        *applied("istio/blue-green/steps/blue"),
        ("delete", "istio/gateway/stable"),
        *applied("istio/blue-green/steps/green", "istio/blue-green/steps/blue"),
        *applied("istio/blue-green/settled", "istio/gateway/stable"),
        *removed("blue-green"),
    ],
    "ab": [
        *BEFORE,
        *applied("istio/ab/1-workloads", "istio/ab/2-subsets"),
        *applied("istio/ab/steps/on", "istio/ab/steps/off"),
        *removed("ab"),
    ],
    "mirror": [
        *BEFORE,
        *applied("istio/mirror/1-workloads", "istio/mirror/2-limits", *steps("istio/mirror")),
        *applied("istio/mirror/steps/00"),
        *removed("mirror"),
    ],
    "microservices": [
        *BEFORE,
        *applied("istio/microservices/1-workloads", "istio/microservices/2-policies"),
        *applied("istio/microservices/steps/split", "istio/microservices/steps/whole"),
        *removed("microservices"),
    ],
    "gateway-api": [
        *applied("istio/gateway-api/1-workloads", "istio/gateway-api/2-listener"),
        *applied(*steps("istio/gateway-api"), "istio/canary/4-promote"),
        *applied("istio/gateway-api/steps/50", "istio/gateway-api/steps/00"),
        *applied("istio/gateway/stable"),
    ],
    "fault-staging": [
        *applied("kustomize/overlays/staging", "istio/fault/staging/1-subsets"),
        *applied("istio/fault/staging/steps/on", "istio/fault/staging/steps/off"),
    ],
    "fault-dev": [
        *applied("kustomize/overlays/dev", "istio/fault/dev/1-subsets"),
        *applied("istio/fault/dev/steps/on", "istio/fault/dev/steps/off"),
    ],
}


class Cluster:
    """The applied objects, as if every pod were ready and every proxy up to date."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str], Json] = {}

    def keys(self) -> set[tuple[str, str, str]]:
        return set(self._objects)

    def do(self, verb: str, directory: str | Path) -> None:
        for each in render(directory):
            key = (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
            if verb == "apply":
                self._objects[key] = each
            else:
                del self._objects[key]

    def walk(self, plan: Walk) -> None:
        """Apply the directories. Raise AssertionError if a route ever has no destination."""
        for verb, directory in plan:
            self.do(verb, directory)
            lost = [*self.leading_nowhere(), *self.missing()]
            assert not lost, f"after {verb} {directory}: {'; '.join(lost)}"

    def leading_nowhere(self) -> Iterator[str]:
        """Return the destinations and mirrors of routes that have no pods."""
        for each in self.all("VirtualService"):
            space = each["metadata"]["namespace"]
            for route in each["spec"]["http"]:
                for to in [*route["route"], *route.get("mirrors", [])]:
                    if not self._answered(space, **to["destination"]):
                        yield f"{route['name']} leads to {to['destination']}"
            for gateway in each["spec"]["gateways"]:
                if gateway != "mesh" and not self._has("Gateway", space, gateway):
                    yield f"there is no Gateway {gateway}"
        for each in self.all("HTTPRoute"):
            space = each["metadata"]["namespace"]
            for rule in each["spec"]["rules"]:
                for to in rule["backendRefs"]:
                    if not self._answered(space, to["name"], {"number": to["port"]}):
                        yield f"the HTTPRoute leads to {to['name']}"
            for parent in each["spec"]["parentRefs"]:
                kind = parent.get("kind", "Gateway")
                if not self._has(kind, parent.get("namespace", space), parent["name"]):
                    yield f"there is no {kind} {parent['name']}"

    def missing(self) -> Iterator[str]:
        """Return missing objects that others refer to, and pods with two disruption budgets."""
        for owner, template in templates([*self._objects.values()]):
            space, labels = owner["metadata"]["namespace"], template["metadata"]["labels"]
            for container in containers(template):
                for source in container.get("envFrom", []):
                    if not self._has("ConfigMap", space, source["configMapRef"]["name"]):
                        yield f"{owner['metadata']['name']} has no {source['configMapRef']['name']}"
            if not self._has("ServiceAccount", space, template["spec"]["serviceAccountName"]):
                yield f"{owner['metadata']['name']} has no ServiceAccount"
            budgets = [
                each["metadata"]["name"]
                for each in self.all("PodDisruptionBudget")
                if is_selected(labels, each["spec"]["selector"])
            ]
            if len(budgets) > 1:
                # Kubernetes can't evict a pod with two budgets.
                yield f"{' and '.join(budgets)} both claim {owner['metadata']['name']}"
        for each in self.all("HorizontalPodAutoscaler"):
            target = each["spec"]["scaleTargetRef"]
            if not self._has(target["kind"], each["metadata"]["namespace"], target["name"]):
                yield f"{each['metadata']['name']} scales nothing"

    def _answered(self, space: str, host: str, port: Json, subset: str | None = None) -> bool:
        service = self._objects.get(("Service", space, host))
        if service is None or port["number"] not in {p["port"] for p in service["spec"]["ports"]}:
            return False
        wanted = dict(service["spec"]["selector"])
        if subset is not None:
            rule = self._objects.get(("DestinationRule", space, host), {"spec": {"subsets": []}})
            labels = [s["labels"] for s in rule["spec"]["subsets"] if s["name"] == subset]
            if not labels:
                return False
            wanted |= labels[0]
        return any(
            owner["metadata"]["namespace"] == space
            and wanted.items() <= template["metadata"]["labels"].items()
            for owner, template in templates([*self._objects.values()])
        )

    def all(self, kind: str) -> list[Json]:
        return of_kind([*self._objects.values()], kind)

    def _has(self, kind: str, space: str, name: str) -> bool:
        return (kind, space, name) in self._objects


@pytest.mark.parametrize("strategy", WALKS)
def test_a_plan_leads_nowhere_at_no_moment(strategy: str) -> None:
    Cluster().walk(WALKS[strategy])


@pytest.mark.parametrize(
    "strategy", [name for name, walk in WALKS.items() if walk[-1][0] == "delete"]
)
def test_a_plan_ends_where_it_began(strategy: str) -> None:
    cluster, before = Cluster(), Cluster()
    before.walk(BEFORE)

    cluster.walk(WALKS[strategy])

    assert cluster.keys() == before.keys()


@pytest.mark.parametrize(
    "plan",
    [
        applied("istio/canary/1-workloads", "istio/canary/steps/10"),
        applied("istio/canary/2-subsets", "istio/canary/steps/10"),
        [*WALKS["canary"][1:7], ("delete", "istio/canary/9-remove/3-workloads")],
        [*WALKS["canary"][1:7], ("apply", "istio/canary/9-remove/2-subsets")],
        applied("istio/ab/1-workloads", "istio/ab/steps/on"),
        applied("istio/blue-green/2-subsets", "istio/blue-green/steps/blue"),
        applied("istio/mirror/steps/01"),
        [*WALKS["mirror"][1:4], ("delete", "istio/mirror/9-remove/2-workloads")],
        applied("istio/microservices/2-policies", "istio/microservices/steps/split"),
    ],
    ids=lambda plan: " ".join(f"{verb} {Path(where).name}" for verb, where in plan[-2:]),
)
def test_another_order_does_lead_nowhere(plan: Walk) -> None:
    with pytest.raises(AssertionError, match="leads to"):
        Cluster().walk([*BEFORE, *plan])


def test_every_numbered_directory_and_every_step_is_walked() -> None:
    walked = {directory for walk in WALKS.values() for _, directory in walk}

    for file in ISTIO.rglob("kustomization.yaml"):
        directory = file.parent
        if any(part[0].isdigit() or part == "steps" for part in directory.relative_to(ISTIO).parts):
            assert str(directory.relative_to(ROOT)) in walked


def test_a_canary_step_is_named_for_the_share_it_gives() -> None:
    shares = []
    for step in CANARY_STEPS:
        reads, writes = routes(step)
        assert weights(reads) == weights(writes)
        assert weights(reads)["canary"] == int(Path(step).name)
        shares.append(weights(reads)["canary"])

    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0, 100)


def test_a_canary_step_changes_weights_and_nothing_else() -> None:
    def weightless(step: str) -> list[Json]:
        rendered = copy.deepcopy(render(step))
        for route in rendered[0]["spec"]["http"]:
            for each in route["route"]:
                each["weight"] = None
        return rendered

    first, *others = (weightless(step) for step in CANARY_STEPS)

    assert [each["kind"] for each in first] == ["VirtualService"]
    assert all(other == first for other in others)


def test_the_canary_becomes_stable_by_the_same_release_in_the_other_track() -> None:
    def images_of(directory: str) -> dict[str, str]:
        return {
            owner["metadata"]["name"]: template["spec"]["containers"][0]["image"]
            for owner, template in templates(render(directory))
        }

    before, after = (images_of(f"istio/canary/{name}") for name in ("1-workloads", "4-promote"))

    assert before["kv-stable"] != before["kv-canary"]
    assert before["kv-stable"] == images_of("istio/gateway/stable")["kv-stable"]
    assert after == dict.fromkeys(("kv-stable", "kv-canary"), before["kv-canary"])


def scale_downs(directory: str) -> dict[str, str]:
    """Return the scale-down policy of each autoscaler."""
    return {
        each["metadata"]["name"]: each["spec"]["behavior"]["scaleDown"]["selectPolicy"]
        for each in of_kind(render(directory), "HorizontalPodAutoscaler")
    }


@pytest.mark.parametrize(
    ("directory", "tracks"),
    [
        ("istio/canary/1-workloads", ("stable", "canary")),
        ("istio/canary/4-promote", ("stable", "canary")),
        ("istio/gateway-api/1-workloads", ("stable", "canary")),
        ("istio/blue-green/1-workloads", ("blue", "green")),
    ],
)
def test_while_the_way_back_is_open_no_autoscaler_takes_pods_away(
    directory: str, tracks: tuple[str, ...]
) -> None:
    """Otherwise an abort from 100 would overload the few remaining pods of stable."""
    assert scale_downs(directory) == {f"kv-{track}": "Disabled" for track in tracks}


@pytest.mark.parametrize("strategy", ["canary", "sticky", "blue-green", "gateway-api"])
def test_when_a_rollout_is_over_the_autoscaler_is_free_again(strategy: str) -> None:
    """The field must be in the file: kubectl apply changes no other fields."""
    cluster = Cluster()

    cluster.walk(WALKS[strategy])

    last = {each["metadata"]["name"]: each for each in cluster.all("HorizontalPodAutoscaler")}
    assert last["kv-stable"]["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Max"
    assert scale_downs("istio/blue-green/settled") == {"kv-blue": "Max", "kv-green": "Max"}


def test_the_table_of_the_canary_is_the_walk_and_numbers_its_directories() -> None:
    rows = [
        (number, verb, directory)
        for number, row in re.findall(
            r"(?m)^\| (\d) \| (.*)$", (ISTIO / "canary" / "README.md").read_text()
        )
        for verb, directory in re.findall(r"kubectl (apply|delete) -k ([\w/-]+)", row)
    ]
    documented = [(verb, directory) for _, verb, directory in rows]
    walk = iter(WALKS["canary"])

    assert all(step in walk for step in documented), "not in this order"
    assert documented[0] == ("apply", "istio/canary/1-workloads")
    assert documented[-1] == ("delete", "istio/canary/9-remove/3-workloads")
    for number, _, directory in rows:
        own = Path(directory).relative_to("istio").parts[1]
        assert not own[0].isdigit() or own[0] in {number, "9"}, directory


def test_what_the_readmes_delete_is_none_of_what_serves() -> None:
    deleted = [
        directory
        for readme in ISTIO.rglob("README.md")
        for directory in re.findall(r"delete -k ((?:istio)/[\w/-]+)", readme.read_text())
    ]

    assert "istio/canary/9-remove/3-workloads" in deleted
    for directory in set(deleted) - {"istio/gateway/stable"}:
        for each in render(directory):
            assert not each["metadata"]["name"].startswith(("kv-stable", "kv-otel-stable"))
            assert each["metadata"]["name"] != "kv", directory


def test_a_sticky_client_stays_on_its_side_and_the_draw_leaves_the_cookie_that_says_so() -> None:
    for step in steps("istio/canary/sticky"):
        plain = routes(f"istio/canary/steps/{Path(step).name}")
        *sticky, reads, writes = routes(step)

        for route, drawn in zip(plain, (reads, writes), strict=True):
            assert weights(drawn) == weights(route)
            assert (drawn.get("match"), drawn["retries"]) == (route.get("match"), route["retries"])
            for each in drawn["route"]:
                cookie = each["headers"]["response"]["add"]["set-cookie"]
                assert cookie.startswith(f"kv-track={each['destination']['subset']}; Max-Age=600;")
        sides = [(route["name"], weights(route)) for route in sticky]
        assert sides == [
            (f"sticky-{track}-{kind}", {track: 100})
            for track in ("canary", "stable")
            for kind in ("reads", "writes")
        ]


def test_a_flip_moves_the_live_routes_and_nothing_else() -> None:
    blue, green = (routes(f"istio/blue-green/steps/{colour}") for colour in ("blue", "green"))

    changed = [old["name"] for old, new in zip(blue, green, strict=True) if old != new]

    assert changed == ["reads", "writes"]
    assert [weights(route) for route in blue[2:]] == [{"blue": 100}] * 2
    assert [weights(route) for route in green[2:]] == [{"green": 100}] * 2
    assert {route["name"]: weights(route) for route in blue[:2]} == {
        "preview-blue": {"blue": 100},
        "preview-green": {"green": 100},
    }


def test_both_colours_are_alike_but_for_colour_and_release() -> None:
    def neutral(value: Any, colour: str) -> Any:
        if isinstance(value, dict):
            return {
                key: neutral(each, colour)
                for key, each in value.items()
                if key not in {"version", "app.kubernetes.io/version", "image"}
            }
        if isinstance(value, list):
            return [neutral(each, colour) for each in value]
        return value.replace(colour, "colour") if isinstance(value, str) else value

    blue, green = (
        neutral(render(f"istio/blue-green/{colour}"), colour) for colour in ("blue", "green")
    )

    assert blue == green


def test_a_mirror_step_is_named_for_the_share_it_copies() -> None:
    shares = []
    for step in steps("istio/mirror"):
        reads, writes = routes(step)
        [mirror] = reads["mirrors"]
        assert mirror["percentage"] == {"value": int(Path(step).name)}
        assert "mirrors" not in writes
        shares.append(int(Path(step).name))

    assert shares[0] == 0
    assert shares == sorted(set(shares))


def test_faults_are_for_those_who_ask_and_not_where_users_are() -> None:
    for environment in ("dev", "staging"):
        *asked, reads, writes = routes(f"istio/fault/{environment}/steps/on")
        assert [reads, writes] == routes(f"istio/fault/{environment}/steps/off")
        assert [route["name"] for route in asked] == ["fault-delay", "fault-abort"]
        for route in asked:
            [kind] = route["fault"]
            assert route["fault"][kind]["percentage"]["value"] > 0
            assert route["match"] == [{"headers": {"x-fault": {"exact": kind}}}]
            assert weights(route) == {"stable": 100}
    for file in ISTIO.rglob("kustomization.yaml"):
        rendered = "" if "kind: Component" in file.read_text() else str(render(file.parent))
        faulty = "'fault':" in rendered
        assert faulty == (
            file.parent.parent.parts[-3:]
            in {
                ("fault", "dev", "steps"),
                ("fault", "staging", "steps"),
            }
            and file.parent.name == "on"
        ), file


def test_an_http_route_gives_what_the_virtual_service_gives() -> None:
    for step in CANARY_STEPS:
        [rendered] = render(step.replace("/canary/", "/gateway-api/"))
        [rule] = rendered["spec"]["rules"]
        shares = {each["name"]: each["weight"] for each in rule["backendRefs"]}
        assert shares == {f"kv-{track}": share for track, share in weights(routes(step)[0]).items()}


def test_an_http_route_never_stands_beside_a_virtual_service() -> None:
    for directory in (ISTIO / "gateway-api").rglob("kustomization.yaml"):
        assert not of_kind(render(directory.parent), "VirtualService")


def test_an_http_route_sorts_no_pattern_behind_its_default() -> None:
    for directory in (ISTIO / "gateway-api").rglob("kustomization.yaml"):
        for each in of_kind(render(directory.parent), "HTTPRoute"):
            *before, default = each["spec"]["rules"]
            assert "matches" not in default
            for match in [match for rule in before for match in rule["matches"]]:
                assert match.get("path", {}).get("type") in {None, "PathPrefix", "Exact"}


def test_reads_of_an_http_route_alone_are_mirrored() -> None:
    [rendered] = render("istio/gateway-api/mirror")
    mirrored, default = rendered["spec"]["rules"]

    assert {match["method"] for match in mirrored["matches"]} == {"GET", "HEAD"}
    assert [each["type"] for each in mirrored["filters"]] == ["RequestMirror"]
    assert "filters" not in default


def test_the_roles_share_the_release_and_divide_the_work() -> None:
    roles = {}
    for name in ("entries", "counters"):
        rendered = render(f"istio/microservices/{name}")
        [service] = of_kind(rendered, "Service")
        [settings] = [each for each in of_kind(rendered, "ConfigMap") if "KV_ROLES" in each["data"]]
        [(deployment, template)] = templates(rendered)
        [scaler] = of_kind(rendered, "HorizontalPodAutoscaler")
        named = {each["metadata"]["name"] for each in (service, deployment, scaler)}
        assert named == {f"kv-{name}"}
        assert is_selected(template["metadata"]["labels"], service["spec"]["selector"])
        assert template["metadata"]["labels"]["app"] != "kv"
        roles[name] = settings["data"]["KV_ROLES"]

    assert roles == {"entries": "kv", "counters": "counters"}
