"""The documents that Envoy reads: the bootstrap, the xDS files, and the static bootstrap."""

from __future__ import annotations

import json
from typing import Any, Final

from rollout.envoy.bootstrap import bootstrap, static_bootstrap
from rollout.envoy.configuration import Address, Resource
from rollout.envoy.discovery import discovery
from tests.rollout.envoy.example_mesh import (
    CANARY,
    EDGE_GATEWAY,
    KV_MANIFESTS,
    STABLE,
    WHOLE,
    translated,
)

ADMIN: Final = Address("127.0.0.1", 9)


def sources(part: Any) -> list[dict[str, Any]]:
    """Return every config source in a document, at any depth."""
    if isinstance(part, dict):
        own = [part["path_config_source"]] if "path_config_source" in part else []
        return own + [each for value in part.values() for each in sources(value)]
    return [each for value in part for each in sources(value)] if isinstance(part, list) else []


def resources(document: Resource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["resources"]
    return found


def test_every_file_that_is_referred_to_is_written() -> None:
    written = discovery(translated(KV_MANIFESTS, EDGE_GATEWAY), "7", "/run/xds")
    read = sources([*written.values(), bootstrap(ADMIN, "/run/xds")])

    assert {each["path"] for each in read} == {f"/run/xds/{name}" for name in written}
    assert all(each["watched_directory"] == {"path": "/run/xds"} for each in read)


def test_a_file_has_its_kind_and_its_version() -> None:
    written = discovery(translated(KV_MANIFESTS, EDGE_GATEWAY), "7", "xds")

    for document in written.values():
        assert document["version_info"] == "7"
        assert {each["@type"] for each in resources(document)} == {document["type_url"]}


def test_files_of_endpoints_and_routes_have_one_resource() -> None:
    written = discovery(translated(KV_MANIFESTS, EDGE_GATEWAY), "7", "xds")

    alone = [name for name in written if name not in {"cds.json", "lds.json"}]
    assert all(len(resources(written[name])) == 1 for name in alone)
    assert [each["name"] for each in resources(written["cds.json"])] == [WHOLE, STABLE, CANARY]
    assert {name for name in alone if name.startswith("rds")} == {
        "rds-http.80.json",
        "rds-mesh.json",
    }


def test_a_resource_is_written_before_one_that_names_it() -> None:
    kinds = [
        name.partition("-")[0]
        for name in discovery(translated(KV_MANIFESTS, EDGE_GATEWAY), "7", "x")
    ]

    assert kinds == ["eds"] * 3 + ["cds.json"] + ["rds"] * 2 + ["lds.json"]


def test_the_same_manifests_give_the_same_texts() -> None:
    one, other = (
        json.dumps(discovery(translated(KV_MANIFESTS, EDGE_GATEWAY), "7", "xds")) for _ in range(2)
    )

    assert one == other


def test_the_static_form_reads_no_files_and_checks_clusters() -> None:
    document = static_bootstrap(translated(KV_MANIFESTS, EDGE_GATEWAY), ADMIN)

    assert not sources(document)
    static = document["static_resources"]
    assert all(each["type"] == "STATIC" for each in static["clusters"])
    assert [len(each["load_assignment"]["endpoints"]) for each in static["clusters"]] == [1, 1, 1]
    for listener in static["listeners"]:
        settings = listener["filter_chains"][0]["filters"][0]["typed_config"]
        assert settings["route_config"]["validate_clusters"] is True
        assert "rds" not in settings


def test_translating_leaves_the_configuration_as_it_was() -> None:
    configuration = translated(KV_MANIFESTS, EDGE_GATEWAY)
    before = json.dumps([configuration.clusters, configuration.listeners])

    static_bootstrap(configuration, ADMIN)
    discovery(configuration, "7", "xds")

    assert json.dumps([configuration.clusters, configuration.listeners]) == before
