"""Manifests and assertions of a given size, and many VirtualServices with one rule moved. Pure."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

import yaml

from .generated import base_documents

Document = dict[str, Any]
#: Of ten assertions: one about a weight, as in the files of this project's rollouts.
_WEIGHTED: Final = 10


def routes(count: int) -> list[Document]:
    """Return a VirtualService with this many rules, each for a path of its own."""
    rules = []
    for index in range(count):
        weight = 10 if index % _WEIGHTED == 0 else 0
        destinations = [
            {"destination": _destination("stable"), "weight": 100 - weight},
            {"destination": _destination("canary"), "weight": weight},
        ]
        rules.append(
            {
                "match": [{"uri": {"prefix": f"/part-{index}/"}}],
                "timeout": "5s",
                "route": destinations if weight else destinations[:1],
            }
        )
    return [*base_documents(), _virtual_service("routes", "kv.example.com", rules)]


def assertions(count: int) -> str:
    """Return a file of assertions, one for each rule of ``routes``."""
    tests = []
    for index in range(count):
        shares: Any = {"stable": 90, "canary": 10} if index % _WEIGHTED == 0 else "stable"
        request = f"GET kv.example.com/part-{index}/x"
        tests.append({"request": request, "to": shares, "timeout": "5s", "retries": 0})
    return yaml.safe_dump({"manifests": "manifests.yaml", "tests": tests})


def many(count: int) -> tuple[list[Document], list[Document]]:
    """Return two sides with this many VirtualServices, of which one has a rule moved."""
    services = []
    for index in range(count):
        rules = [
            {"match": [{"uri": {"prefix": path}}], "route": [{"destination": _destination(track)}]}
            for path, track in (("/v1/", "stable"), ("/v1/kv", "canary"), ("/", "stable"))
        ]
        services.append(_virtual_service(f"app-{index}", f"app-{index}.example.com", rules))
    moved = copy.deepcopy(services)
    rules = moved[count // 2]["spec"]["http"]
    rules.insert(0, rules.pop(1))
    return [*base_documents(), *services], [*base_documents(), *moved]


def text_of(documents: list[Document]) -> str:
    """Return documents as a file: JSON is YAML."""
    return "".join(f"---\n{json.dumps(each)}\n" for each in documents)


def _destination(subset: str) -> Document:
    return {"host": "kv", "port": {"number": 8080}, "subset": subset}


def _virtual_service(name: str, host: str, rules: list[Document]) -> Document:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"hosts": [host], "gateways": ["edge", "mesh"], "http": rules},
    }
