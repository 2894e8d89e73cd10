"""Redis users: each may run the commands that it needs and no others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from svc.domain.model import CounterName, Key
from svc.stores.names import claim_name, counter_name, entry_name, operation_name, permit_name
from svc.stores.store_url import build_link
from tests.kustomize.redis_pods import make_secret, secret_of
from tests.support.manifests import ROOT, render

STORES: Final = ROOT / "svc" / "stores"
DEVELOPMENT: Final = ROOT / "kustomize" / "components" / "development" / "users.acl"
MODES: Final = ("single", "sentinel", "cluster")
#: Sent at the start of a connection. Every user may log in, and database 0 is the default.
LOGIN: Final = {"auth", "hello", "select"}
#: Commands sent only to servers of a Cluster.
IN_CLUSTERS: Final = {"asking", "cluster|slots"}
#: Commands that no user who can log in may run.
NEVER: Final = {
    "acl", "bgrewriteaof", "client|pause", "config", "config|get", "config|set", "debug",
    "failover", "flushall", "flushdb", "function", "keys", "migrate", "module", "monitor",
    "replicaof", "restore", "save", "script", "shutdown", "swapdb",
}  # fmt: skip


def commands_used() -> set[str]:
    """Return the commands in the source: those that are sent, and those in scripts."""
    found = {"eval", "evalsha"}
    for path in (*STORES.glob("*.py"), *STORES.glob("watching/*.py")):
        for name, word in re.findall(r'\(\s*"([A-Z]+)"(?:, "([A-Z]+)")?', path.read_text()):
            has_parts = name in {"CLIENT", "CLUSTER"}
            found.add(f"{name}|{word}".lower() if has_parts else name.lower())
    for path in STORES.glob("scripts/*.lua"):
        found |= {name.lower() for name in re.findall(r"redis\.p?call\('(\w+)'", path.read_text())}
    return found


def users_of(acl: str) -> dict[str, list[str]]:
    """Return each user's rules, in order."""
    lines = [line.split() for line in acl.splitlines() if line]
    assert {line[0] for line in lines} == {"user"}
    return {line[1]: line[2:] for line in lines}


def allowed(rules: list[str]) -> set[str]:
    assert "-@all" in rules
    return {rule[1:] for rule in rules[rules.index("-@all") + 1 :]}


@pytest.fixture(scope="module", params=MODES)
def secret(request: pytest.FixtureRequest) -> dict[str, str]:
    return secret_of([make_secret(request.param)])


def test_the_service_may_use_the_commands_in_its_source_and_no_others(
    secret: dict[str, str],
) -> None:
    may = allowed(users_of(secret["users.acl"])["kv"])

    used = commands_used()
    assert len(used) > 15
    if not secret["url"].startswith("redis+cluster:"):
        used -= IN_CLUSTERS
    assert may == used - LOGIN


def test_the_service_may_touch_the_names_it_makes_and_no_others(secret: dict[str, str]) -> None:
    patterns = [rule[1:] for rule in users_of(secret["users.acl"])["kv"] if rule[0] == "~"]
    key, counter, operation = Key("a/b"), CounterName("n"), b"0123456789abcdef"
    names = (
        entry_name(key),
        counter_name(counter),
        operation_name(key.text, operation),
        claim_name(operation),
        permit_name("read:t:team-a"),
    )

    for name in names:
        assert [p for p in patterns if glob(p).fullmatch(name.decode())], name
    for pattern in patterns:
        assert [n for n in names if glob(pattern).fullmatch(n.decode())], pattern
        assert not glob(pattern).fullmatch("another")


def glob(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\?", ".").replace(r"\*", ".*"))


def test_nobody_who_can_log_in_may_do_anything_dangerous(secret: dict[str, str]) -> None:
    users = users_of(secret["users.acl"])

    for name, rules in users.items():
        if name != "default":
            assert "on" in rules
            assert not allowed(rules) & NEVER, name
    assert [n for n, rules in users.items() if "nopass" in rules] == ["health"]
    assert allowed(users["health"]) == {"ping", "role"}


def test_the_default_user_is_off_and_may_read_the_file_again(secret: dict[str, str]) -> None:
    assert users_of(secret["users.acl"])["default"] == ["off", "resetpass", "~*", "&*", "+@all"]


def test_the_url_leads_to_the_services_user(secret: dict[str, str]) -> None:
    build_link(secret["url"])

    assert re.match(r"redis(\+\w+)?://kv:[0-9a-f]{48}@", secret["url"])
    assert not re.search(r"[<>]", secret["users.acl"]), "digests only"


def test_passwords_are_drawn_anew_or_kept_where_one_is_given() -> None:
    first, second = (secret_of([make_secret("sentinel")]) for _ in range(2))
    kept = secret_of([make_secret("single", KV_PASSWORD="kept")])  # noqa: S106

    assert all(first[name] != second[name] for name in first)
    assert kept["url"] == "redis://kv:kept@redis:6379"


def test_for_development_the_rules_are_the_same() -> None:
    made = make_secret("single", KV_PASSWORD="only-for-development")  # noqa: S106
    rules = re.sub(r"#[0-9a-f]{64}", ">only-for-development", secret_of([made])["users.acl"])

    assert DEVELOPMENT.read_text() == rules
    rendered = secret_of(render("kustomize/overlays/dev"))
    assert rendered == {"url": secret_of([made])["url"], "users.acl": rules}


@pytest.mark.parametrize("mode", MODES)
def test_the_secret_holds_what_the_pods_mount(mode: str, tmp_path: Path) -> None:
    keys = set(secret_of([make_secret(mode)]))
    text = "".join(
        path.read_text()
        for folder in ("redis", f"components/redis-{mode}")
        for path in (ROOT / "kustomize" / folder).glob("*.yaml")
    )

    mounted = set(re.findall(r"\bkey: ([\w.-]+)", text))
    assert keys - {"url"} == mounted


def test_it_is_a_manifest_of_one_secret() -> None:
    made: dict[str, Any] = make_secret("cluster")

    assert yaml.safe_dump(made)
    assert (made["kind"], made["metadata"]) == ("Secret", {"name": "kv-redis"})
