"""Every directory under kustomize/ renders, and Kubernetes' schemas accept the result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from svc import __version__
from tests.kustomize.installations import WHOLE, name_of
from tests.support.manifests import (
    CUSTOM,
    ROOT,
    RenderFailed,
    components,
    compose,
    containers,
    kustomizations,
    render,
    schema_error,
    templates,
    title,
)

DIRECTORIES: Final = kustomizations("kustomize")
COMPONENTS: Final = components("kustomize")
READMES: Final = sorted((ROOT / "kustomize").rglob("README.md"))
#: The oldest version that ends sidecars after the service, and the newest.
RELEASES: Final = ("1.33", "latest")
#: Fields that are or were deprecated in kustomize.
DEPRECATED: Final = {
    "bases",
    "commonLabels",
    "imageTags",
    "patchesJson6902",
    "patchesStrategicMerge",
    "vars",
}
STORES: Final = ("redis-single", "redis-sentinel", "redis-cluster", "redis-external")
OTHERS: Final = (
    "hpa", "pdb", "monitoring", "otel", "mesh", "jwt", "hardened", "load",
    "rollout-job", "rollout-job-hardened", "rollout-job-monitoring", "rollout-runner",
    "rollout-workloads",
)  # fmt: skip
CLUSTER_WIDE: Final = {"Namespace"}
ZEROS: Final = "sha256:" + "0" * 64


def test_there_are_directories_to_look_at() -> None:
    assert {name_of(d) for d in DIRECTORIES} >= {"base", "overlays/dev", "strategies/recreate"}
    assert {d.name for d in COMPONENTS} == {*STORES, *OTHERS, "development"}


@pytest.mark.parametrize("directory", DIRECTORIES, ids=name_of)
def test_a_directory_renders_without_a_warning_and_kubernetes_takes_it(directory: Path) -> None:
    check(render(directory))


@pytest.mark.parametrize("others", [(), OTHERS], ids=["bare", "all"])
@pytest.mark.parametrize("store", STORES)
def test_every_component_goes_with_every_other(
    store: str, others: tuple[str, ...], tmp_path: Path
) -> None:
    parts = [f"kustomize/components/{part}" for part in (store, *others)]

    there, back = compose(tmp_path / "a", *parts), compose(tmp_path / "b", *reversed(parts))

    check(there)
    assert sorted(there, key=title) == sorted(back, key=title)


def check(objects: list[dict[str, Any]]) -> None:
    errors = {schema_error(each, release) for each in objects for release in RELEASES}
    assert errors == {None}
    groups = {each["apiVersion"].rpartition("/")[0] for each in objects}
    assert {group for group in groups if "." in group and not group.endswith("k8s.io")} <= CUSTOM
    titles = [title(each) for each in objects]
    assert sorted(titles) == sorted(set(titles))


def test_an_error_and_a_warning_are_told(tmp_path: Path) -> None:
    """Make sure that the check finds mistakes."""
    for name, text, told in (
        ("error", "resources: [missing.yaml]", "missing.yaml"),
        ("warning", "commonLabels: {a: b}", "deprecated"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kustomization.yaml").write_text(text + "\n")
        with pytest.raises(RenderFailed, match=told):
            render(tmp_path / name)


def test_a_field_that_kubernetes_does_not_know_is_told() -> None:
    (namespace,) = [e for e in render("kustomize/overlays/dev") if e["kind"] == "Namespace"]
    namespace["spec"] = {"finalizer": []}

    for release in RELEASES:
        assert "finalizer" in (schema_error(namespace, release) or "")


@pytest.mark.parametrize("directory", [*DIRECTORIES, *COMPONENTS], ids=name_of)
def test_a_kustomization_uses_nothing_deprecated(directory: Path) -> None:
    declared = yaml.safe_load((directory / "kustomization.yaml").read_text())

    assert not declared.keys() & DEPRECATED
    assert "disableNameSuffixHash" not in declared.get("generatorOptions", {})


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_all_of_an_environment_is_in_its_namespace(directory: Path) -> None:
    objects = render(directory)
    (namespace,) = [each for each in objects if each["kind"] == "Namespace"]
    name = namespace["metadata"]["name"]

    assert name == f"kv-{directory.name}"
    assert {
        each["metadata"].get("namespace") for each in objects if each["kind"] not in CLUSTER_WIDE
    } == {name}


@pytest.mark.parametrize("directory", WHOLE, ids=name_of)
def test_a_reference_leads_to_an_object_or_to_the_secret_that_an_operator_makes(
    directory: Path,
) -> None:
    objects = render(directory)
    there = {title(each) for each in objects}

    missing = {
        reference
        for _, template in templates(objects)
        for reference in references(template)
        if reference not in there
    }

    expected = set() if "development" in parts_of(directory) else {"Secret/kv-redis"}
    assert missing == expected


def parts_of(directory: Path) -> set[str]:
    """Return the names of the components that a directory uses."""
    declared = yaml.safe_load((directory / "kustomization.yaml").read_text())
    return {Path(part).name for part in declared.get("components", [])}


def references(template: dict[str, Any]) -> set[str]:
    """Return the objects that a pod needs to start, as kind/name."""
    found = {f"ServiceAccount/{template['spec']['serviceAccountName']}"}
    for volume in template["spec"].get("volumes", []):
        if "configMap" in volume:
            found.add(f"ConfigMap/{volume['configMap']['name']}")
        if "secret" in volume and not volume["secret"].get("optional"):
            found.add(f"Secret/{volume['secret']['secretName']}")
    for container in containers(template):
        for source in container.get("envFrom", []):
            found.add(f"ConfigMap/{source['configMapRef']['name']}")
        for variable in container.get("env", []):
            if key := variable.get("valueFrom", {}).get("secretKeyRef"):
                found.add(f"Secret/{key['name']}")
    return found


@pytest.mark.parametrize("directory", DIRECTORIES, ids=name_of)
def test_a_pod_says_which_release_it_is_and_runs_no_moving_image(directory: Path) -> None:
    for owner, template in templates(render(directory)):
        for container in containers(template):
            name, _, tag = container["image"].partition("@")[0].partition(":")
            assert "/" not in name
            assert re.fullmatch(r"\d[\w.-]*", tag), container["image"]
            if name == "tallykv":
                labels = template["metadata"]["labels"]
                assert labels["version"] == labels["app.kubernetes.io/version"] == tag
                assert tag == __version__, f"{title(owner)}: not this release"


def test_only_production_asks_for_digests_and_says_so_where_it_has_none_yet() -> None:
    for directory in WHOLE:
        images = {c["image"] for _, t in templates(render(directory)) for c in containers(t)}
        pinned = {image for image in images if "@" in image}
        if directory.name == "prod":
            assert pinned == images == {f"tallykv:{__version__}@{ZEROS}", f"redis:7@{ZEROS}"}
        else:
            assert not pinned
    declared = (ROOT / "kustomize/overlays/prod/kustomization.yaml").read_text()
    assert "\n# PLACEHOLDERS" in declared
    assert "kustomize.pin" in (ROOT / "kustomize/overlays/prod/README.md").read_text()


def test_no_secret_is_in_the_repository_but_the_one_for_development() -> None:
    for directory in DIRECTORIES:
        secrets = [each for each in render(directory) if each["kind"] == "Secret"]
        assert len(secrets) == ("development" in parts_of(directory))
    for text in (path.read_text() for path in (ROOT / "kustomize").rglob("*.yaml")):
        for password in re.findall(r"://\w+:([^@$\s]+)@", text):
            assert password == "only-for-development"  # noqa: S105


def test_what_can_be_applied_has_a_readme() -> None:
    assert [d for d in WHOLE if not (d / "README.md").is_file()] == []


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_a_readme_is_short_and_names_what_there_is(readme: Path) -> None:
    text = readme.read_text()

    assert len(text.splitlines()) <= 60
    for path in re.findall(r"(?<![\w/.])(?:kustomize|grafana|istio)/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path


def test_the_readme_lists_every_directory() -> None:
    text = (ROOT / "kustomize" / "README.md").read_text()

    assert [name_of(d) for d in (*WHOLE, *COMPONENTS) if f"`{name_of(d)}`" not in text] == []
