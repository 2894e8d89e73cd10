"""What the steps of each strategy change: the shares that they are named for, and nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from tests.istio.test_routes import ISTIO, Json, routes, steps, weights
from tests.istio.walks import CANARY_STEPS
from tests.support.manifests import is_selected, of_kind, render, templates


def test_a_canary_step_is_named_for_the_share_it_gives() -> None:
    shares = []
    for step in CANARY_STEPS:
        reads, writes = routes(step)
        assert weights(reads) == weights(writes)
        assert weights(reads)["canary"] == int(Path(step).name)
        shares.append(weights(reads)["canary"])

    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0, 100)
    assert 95 <= shares[-2] <= 99, "no holdback"


def test_a_baseline_has_the_canarys_share_as_long_as_stable_keeps_as_much() -> None:
    for step in CANARY_STEPS:
        reads, writes = routes(step.replace("/canary/", "/canary-baseline/"))
        assert weights(reads) == weights(writes)
        canary = weights(routes(step)[0])["canary"]
        baseline = min(canary, (100 - canary) // 2)
        assert weights(reads) == {
            "stable": 100 - canary - baseline,
            "canary": canary,
            "baseline": baseline,
        }


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
