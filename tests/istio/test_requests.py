"""Single requests, and the routes under istio/ that match them."""

from __future__ import annotations

import pytest

from tests.istio.test_routes import Json, fits, routes, steps


def route_of(
    directory: str, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[str, list[str]]:
    """Return the first route that matches a request, and its destinations with weight."""
    for route in routes(directory):
        if any(matches(match, method, path, headers or {}) for match in route.get("match", [{}])):
            return route["name"], [
                each["destination"].get("subset", each["destination"]["host"])
                for each in route["route"]
                if each["weight"]
            ]
    raise AssertionError(f"nothing takes {method} {path}")


def matches(match: Json, method: str, path: str, headers: dict[str, str]) -> bool:
    assert match.keys() <= {"method", "uri", "headers"}, "not translated"
    return (
        fits(match.get("method"), method)
        and fits(match.get("uri"), path)
        and all(
            name in headers and fits(wanted, headers[name])
            for name, wanted in match.get("headers", {}).items()
        )
    )


@pytest.mark.parametrize("directory", ["istio/gateway/routes", *steps("istio/canary")])
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/kv/a", "reads"),
        ("HEAD", "/users/7", "reads"),
        ("GET", "/v1/counters", "reads"),
        ("GET", "/", "writes"),
        ("HEAD", "/", "writes"),
        ("PUT", "/v1/kv/a", "writes"),
        ("POST", "/v1/counters/a/increments", "writes"),
        ("POST", "/v1/batch", "writes"),
        ("PATCH", "/v1/kv/a", "writes"),
        ("DELETE", "/v1/kv/a", "writes"),
        ("OPTIONS", "/v1/kv/a", "writes"),
        ("GETTING", "/v1/kv/a", "writes"),
    ],
)
def test_what_is_not_known_to_be_a_read_is_a_write(
    directory: str, method: str, path: str, name: str
) -> None:
    assert route_of(directory, method, path)[0] == name


@pytest.mark.parametrize(
    "headers",
    [
        {"x-variant": "b"},
        {"cookie": "variant=b"},
        {"cookie": "a=1; variant=b"},
        {"cookie": "a=1;variant=b"},
        {"cookie": "variant=b; z=9"},
        {"cookie": "a=1; variant=b; z=9"},
        {"x-variant": "a", "cookie": "variant=b"},
    ],
    ids=str,
)
def test_who_asks_for_b_gets_b(headers: dict[str, str]) -> None:
    assert route_of("istio/ab/steps/on", "GET", "/v1/kv/a", headers) == ("b-reads", ["canary"])
    assert route_of("istio/ab/steps/on", "PUT", "/v1/kv/a", headers) == ("b-writes", ["canary"])
    assert route_of("istio/ab/steps/off", "PUT", "/v1/kv/a", headers) == ("writes", ["stable"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-variant": "B"},
        {"x-variant": "bb"},
        {"x-variant": ""},
        {"cookie": "variant=bb"},
        {"cookie": "variant=B"},
        {"cookie": "variant=a"},
        {"cookie": "variant="},
        {"cookie": "xvariant=b"},
        {"cookie": "variant=b2; z=9"},
        {"cookie": "a=variant=b"},
        {"cookie": "a=1, variant=b"},
        {"cookie": "variant = b"},
        {"cookie": 'variant="b"'},
        {"variant": "b"},
    ],
    ids=str,
)
def test_a_near_miss_gets_a(headers: dict[str, str]) -> None:
    assert route_of("istio/ab/steps/on", "GET", "/v1/kv/a", headers) == ("reads", ["stable"])
    assert route_of("istio/ab/steps/on", "PUT", "/v1/kv/a", headers) == ("writes", ["stable"])


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_cookie_of_the_draw_is_kept(method: str) -> None:
    for track in ("stable", "canary"):
        cookie = {"cookie": f"a=1; kv-track={track}; z=9"}
        for step in steps("istio/canary/sticky"):
            assert route_of(step, method, "/v1/kv/a", cookie)[1] == [track]
        # An abort also affects clients with a cookie.
        assert route_of("istio/canary/steps/00", method, "/v1/kv/a", cookie)[1] == ["stable"]


@pytest.mark.parametrize("live", ["blue", "green"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_preview_names_its_colour_whichever_is_live(live: str, method: str) -> None:
    step = f"istio/blue-green/steps/{live}"

    for colour in ("blue", "green"):
        asked = route_of(step, method, "/v1/kv/a", {"x-preview": colour})
        assert asked == (f"preview-{colour}", [colour])
    assert route_of(step, method, "/v1/kv/a")[1] == [live]
    assert route_of(step, method, "/v1/kv/a", {"x-preview": "red"})[1] == [live]


@pytest.mark.parametrize(
    ("method", "path", "name", "to"),
    [
        ("GET", "/v1/kv/a", "reads", "kv-entries"),
        ("PUT", "/v1/kv/a", "writes", "kv-entries"),
        ("GET", "/v1/kv", "reads", "kv-entries"),
        ("GET", "/", "writes", "kv-entries"),
        ("GET", "/users/7", "reads", "kv-entries"),
        ("GET", "/v1/limits", "reads", "kv-entries"),
        ("GET", "/v1/counters", "counters-reads", "kv-counters"),
        ("GET", "/v1/counters/", "counters-reads", "kv-counters"),
        ("GET", "/v1/counters/a", "counters-reads", "kv-counters"),
        ("PUT", "/v1/counters/a", "counters-writes", "kv-counters"),
        ("POST", "/v1/counters/a/increments", "counters-writes", "kv-counters"),
        ("GET", "/v1/countersx", "reads", "kv-entries"),
        ("PUT", "/v1/kv/v1/counters", "writes", "kv-entries"),
        ("POST", "/v1/batch", "batch", "stable"),
        ("POST", "/v1/batch/x", "writes", "kv-entries"),
        ("GET", "/v1/batchx", "reads", "kv-entries"),
    ],
)
def test_a_role_gets_its_paths(method: str, path: str, name: str, to: str) -> None:
    assert route_of("istio/microservices/steps/split", method, path) == (name, [to])
    assert route_of("istio/microservices/steps/whole", method, path)[1] == ["stable"]
