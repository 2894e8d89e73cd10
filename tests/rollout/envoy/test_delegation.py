"""A delegate's routes stand in place of the route that names it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.envoy.callers import IN_SHOP, REST, seen, virtual


class TestDelegates:
    """A delegate's routes stand in place of the route that names it."""

    ROOT = virtual(
        "root",
        "{hosts: [kv.shop.svc.cluster.local], http: [{name: r, timeout: 3s, match: ["
        f"{{uri: {{prefix: /a}}}}], delegate: {{name: child, namespace: team}}}}, {REST}]}}",
    )

    def child(self, match: str, more: str = "") -> str:
        route = f"{{name: c, match: [{match}], route: [{{destination: {{host: own}}}}]}}"
        return virtual("child", f"{{http: [{route}]{more}}}", "team")

    def found(self, *texts: str) -> list[Any]:
        hosts = seen(IN_SHOP, *texts).hosts[8080]
        [host] = [each for each in hosts if "kv" in each["domains"]]
        return list(host["routes"])

    def test_they_take_what_they_lack_from_it(self) -> None:
        route, rest = self.found(self.ROOT, self.child("{uri: {prefix: /a/b}}"))

        assert (route["name"], rest["name"]) == ("r-c", "rest")
        assert route["match"]["prefix"] == "/a/b"
        assert route["route"]["timeout"] == "3s"
        # A short host is in the namespace of the delegate.
        assert route["route"]["cluster"] == "outbound|8080||own.team.svc.cluster.local"

    @pytest.mark.parametrize(
        "child",
        [
            ("{uri: {prefix: /b}}", ""),
            ("{uri: {exact: /c}}", ""),
            ("{ignoreUriCase: true, uri: {prefix: /a}}", ""),
            ("{uri: {prefix: /a}}", ", exportTo: ['.']"),
        ],
    )
    def test_one_in_conflict_or_out_of_sight_is_left_out(self, child: tuple[str, str]) -> None:
        assert [each["name"] for each in self.found(self.ROOT, self.child(*child))] == ["rest"]

    def test_without_the_delegate_only_its_route_is_missing(self) -> None:
        assert [each["name"] for each in self.found(self.ROOT)] == ["rest"]
