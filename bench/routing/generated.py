"""Random configurations of two services behind a gateway, and one change of each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any, Final

Document = dict[str, Any]
Rules = list[Document]

PATHS: Final = ("/", "/v1", "/v1/", "/v1/kv", "/v1/kv/a", "/V1/kv", "/v2", "/static", "/x")
_REGEXES: Final = (r"/v1/[a-z]+", r"/.*\.png", r"/v[12]/kv(/.*)?", r"(?i)/STATIC/.*", r".+")
HEADERS: Final = ("x-variant", "cookie", "x-user")
VALUES: Final = ("b", "beta", "canary=1", "ada")
_PATTERNS: Final = (r"b.*", r"^(.*?;\s*)?(canary=1)(;.*)?$", r"[a-c]+")
METHODS: Final = ("GET", "POST", "DELETE")
PARAMETERS: Final = ("version", "debug")
HOSTS: Final = (("a.example.com",), ("b.example.com", "kv"), ("*.example.com",), ("shop",), ("*",))
_SUBSETS: Final = ("stable", "canary", "missing")
_TIMEOUTS: Final = ("1s", "2s", "5s")


def base_documents() -> list[Document]:
    """Return the Gateways, Services, DestinationRules and Deployments."""
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    found = [_document("networking.istio.io/v1", "Gateway", "edge", spec)]
    for name in ("kv", "shop"):
        found.append(_service(name, {"app": name}))
        subsets = [{"name": each, "labels": {"track": each}} for each in _SUBSETS[:2]]
        rule = {"host": name, "subsets": subsets}
        found.append(_document("networking.istio.io/v1", "DestinationRule", name, rule))
        for track in _SUBSETS[:2]:
            labels = {"app": name, "track": track}
            found.append(_service(f"{name}-{track}", labels))
            containers = [{"name": "a", "image": "a", "ports": [{"containerPort": 8080}]}]
            template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
            pods = {"selector": {"matchLabels": labels}, "template": template}
            found.append(_document("apps/v1", "Deployment", f"{name}-{track}", pods))
    return found


def pair(seed: int) -> tuple[list[Document], list[Document], str]:
    """Return what is applied before and after a change, and the name of the change."""
    random = Random(seed)
    before = _services(random)
    name = random.choice([*CHANGES])
    after = copy.deepcopy(before)
    CHANGES[name](random, after)
    return [*base_documents(), *before], [*base_documents(), *after], name


def _services(random: Random) -> list[Document]:
    hosts = random.sample(HOSTS, random.randint(1, 3))
    return [
        _document(
            "networking.istio.io/v1",
            "VirtualService",
            f"routes-{index}",
            {
                "hosts": list(each),
                "gateways": random.choice((["edge"], ["edge", "mesh"])),
                "http": [_rule(random) for _ in range(random.randint(1, 5))],
            },
        )
        for index, each in enumerate(hosts)
    ]


def _rule(random: Random) -> Document:
    found: Document = {}
    if random.random() < 0.85:
        found["match"] = [_match(random) for _ in range(random.choice((1, 1, 2)))]
    kind = random.random()
    if kind < 0.08:
        return {**found, "redirect": {"uri": random.choice(("/new", "/moved"))}}
    if kind < 0.14:
        return {**found, "directResponse": {"status": random.choice((418, 451))}}
    found["route"] = _destinations(random)
    if random.random() < 0.3:
        found["timeout"] = random.choice(_TIMEOUTS)
    if random.random() < 0.2:
        attempts = random.choice((0, 1, 3))
        found["retries"] = {"attempts": attempts, **({"retryOn": "503"} if attempts else {})}
    if random.random() < 0.15:
        found["rewrite"] = {"uri": random.choice(("/", "/inner"))}
    if random.random() < 0.1:
        found["headers"] = {"request": {"set": {"x-set": random.choice(("1", "2"))}}}
    return found


def _match(random: Random) -> Document:
    found: Document = {}
    if random.random() < 0.75:
        kind = random.choice(("exact", "prefix", "prefix", "regex"))
        found["uri"] = {kind: random.choice(_REGEXES if kind == "regex" else PATHS)}
        if kind != "regex" and random.random() < 0.15:
            found["ignoreUriCase"] = True
    if random.random() < 0.35:
        found["headers"] = {random.choice(HEADERS): _value(random)}
    if random.random() < 0.12:
        found["withoutHeaders"] = {random.choice(HEADERS): _value(random)}
    if random.random() < 0.2:
        found["method"] = {"exact": random.choice(METHODS)}
    if random.random() < 0.15:
        found["queryParams"] = {random.choice(PARAMETERS): {"exact": random.choice(VALUES)}}
    return found or {"uri": {"prefix": "/"}}


def _value(random: Random) -> Document:
    kind = random.choice(("exact", "prefix", "regex", "present"))
    if kind == "present":
        return {}
    return {kind: random.choice(_PATTERNS if kind == "regex" else VALUES)}


def _destinations(random: Random) -> list[Document]:
    def destination() -> Document:
        found: Document = {"host": random.choice(("kv", "shop")), "port": {"number": 8080}}
        subset = random.choice((*_SUBSETS[:2], *_SUBSETS[:2], *_SUBSETS, None))
        return {**found, **({"subset": subset} if subset else {})}

    if random.random() < 0.6:
        return [{"destination": destination()}]
    weight = random.choice((1, 5, 10, 25, 50))
    return [
        {"destination": destination(), "weight": 100 - weight},
        {"destination": destination(), "weight": weight},
    ]


def _some_rules(random: Random, services: list[Document]) -> Rules:
    rules: Rules = random.choice(services)["spec"]["http"]
    return rules


def _drop(random: Random, services: list[Document]) -> None:
    rules = _some_rules(random, services)
    if len(rules) > 1:
        del rules[random.randrange(len(rules))]


def _add(random: Random, services: list[Document]) -> None:
    rules = _some_rules(random, services)
    rules.insert(random.randint(0, len(rules)), _rule(random))


def _swap(random: Random, services: list[Document]) -> None:
    rules = _some_rules(random, services)
    rules.insert(0, rules.pop(random.randrange(len(rules))))


def _other_hosts(random: Random, services: list[Document]) -> None:
    taken = {each for one in services for each in one["spec"]["hosts"]}
    free = [each for each in HOSTS if taken.isdisjoint(each)]
    random.choice(services)["spec"]["hosts"] = list(random.choice(free))


def _other_match(random: Random, services: list[Document]) -> None:
    random.choice(_some_rules(random, services))["match"] = [_match(random)]


def _other_weights(random: Random, services: list[Document]) -> None:
    for rule in (one for each in services for one in each["spec"]["http"]):
        if len(rule.get("route", ())) > 1:
            weight = random.choice((2, 20, 75))
            rule["route"][0]["weight"], rule["route"][1]["weight"] = 100 - weight, weight
            return


def _other_subset(random: Random, services: list[Document]) -> None:
    for rule in (one for each in services for one in each["spec"]["http"]):
        if "route" in rule:
            destination = random.choice(rule["route"])["destination"]
            destination["subset"] = random.choice(_SUBSETS)
            return


def _other_timeout(random: Random, services: list[Document]) -> None:
    for rule in (one for each in services for one in each["spec"]["http"]):
        if "route" in rule:
            rule["timeout"] = random.choice(("3s", "7s"))
            return


def _remove_service(random: Random, services: list[Document]) -> None:
    if len(services) > 1:
        services.pop(random.randrange(len(services)))


def _nothing(random: Random, services: list[Document]) -> None:
    """Change the order of the objects, which means nothing in a cluster."""
    random.shuffle(services)


CHANGES: Final[dict[str, Callable[[Random, list[Document]], None]]] = {
    "a rule dropped": _drop,
    "a rule added": _add,
    "another order": _swap,
    "other hosts": _other_hosts,
    "another match": _other_match,
    "other weights": _other_weights,
    "another subset": _other_subset,
    "another timeout": _other_timeout,
    "an object removed": _remove_service,
    "nothing": _nothing,
}


def _service(name: str, selector: dict[str, str]) -> Document:
    spec = {"selector": selector, "ports": [{"name": "http", "port": 8080}]}
    return _document("v1", "Service", name, spec)


def _document(version: str, kind: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
