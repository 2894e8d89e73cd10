"""Directories rendered by the kustomize that kubectl has in it, as parsed objects."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
RENDER_SECONDS: Final = 300.0

#: Where the pods of a kind have their template.
TEMPLATES: Final = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


#: Groups of custom resources.
CUSTOM: Final = {
    "argoproj.io",
    "flagger.app",
    "gateway.networking.k8s.io",
    "monitoring.coreos.com",
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
}


class RenderFailed(AssertionError):
    """A directory can't be rendered, or not without a warning; the message is kustomize's."""


def need_kustomize() -> list[str]:
    """Return the command that renders a directory, or skip the test, naming kubectl."""
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    if kustomize := shutil.which("kustomize"):
        return [kustomize, "build"]
    pytest.skip("needs kubectl or kustomize")


def render(path: str | Path) -> list[dict[str, Any]]:
    """Return a directory's objects in the order rendered; raise RenderFailed.

    ``path`` is absolute or counts from the project's root. Rendered once a run; the objects are
    the caller's own.
    """
    return copy.deepcopy(_render(ROOT / path))


@cache
def _render(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.load_all(render_text(path), _Loader) if each is not None]


@cache
def render_text(path: Path) -> str:
    """Return the text that ``kubectl apply -k`` would send; a warning fails like an error."""
    done = subprocess.run(
        [*need_kustomize(), str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=RENDER_SECONDS,
    )
    if done.returncode != 0 or done.stderr:
        raise RenderFailed(f"{path}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def compose(
    directory: Path,
    *parts: str,
    resources: Sequence[str] = ("kustomize/base",),
    namespace: str = "shop",
) -> list[dict[str, Any]]:
    """Return a Namespace and the resources with these components, as an overlay of one's own."""

    def relative(paths: Sequence[str]) -> list[str]:
        return [os.path.relpath(ROOT / path, directory.resolve()) for path in paths]

    # Each directory is rendered only once.
    directory.mkdir(parents=True, exist_ok=True)
    assert not (directory / "kustomization.yaml").exists()
    files = {
        "namespace.yaml": {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace},
        },
        "kustomization.yaml": {
            "namespace": namespace,
            "resources": ["namespace.yaml", *relative(resources)],
            "components": relative(parts),
        },
    }
    for name, content in files.items():
        (directory / name).write_text(yaml.safe_dump(content))
    return render(directory)


def kustomizations(*tops: str) -> list[Path]:
    """Return the directories below the given ones that are a Kustomization, not a Component."""
    return [path for path, kind in _declared(tops) if kind == "Kustomization"]


def components(*tops: str) -> list[Path]:
    """Return the directories below the given ones that are a Component."""
    return [path for path, kind in _declared(tops) if kind == "Component"]


def _declared(tops: Sequence[str]) -> Iterator[tuple[Path, str]]:
    for top in tops:
        for file in sorted((ROOT / top).rglob("kustomization.yaml")):
            declared = yaml.safe_load(file.read_text()) or {}
            yield file.parent, declared.get("kind", "Kustomization")


def of_kind(objects: Sequence[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] in kinds]


def the(objects: Sequence[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """Return the one object of that kind and name."""
    found = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    if len(found) != 1:
        there = ", ".join(title(each) for each in objects)
        raise AssertionError(f"{len(found)} of {kind}/{name} among: {there}")
    return found[0]


def title(one: dict[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def templates(objects: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each object that makes pods, with its pod template."""
    found = []
    for each in objects:
        if steps := TEMPLATES.get(each["kind"]):
            template = each
            for step in steps:
                template = template[step]
            found.append((each, template))
    return found


def containers(template: dict[str, Any], *, init: bool = True) -> list[dict[str, Any]]:
    """Return a pod template's containers, those that run before the others first."""
    spec = template["spec"]
    return [*(spec.get("initContainers", []) if init else []), *spec["containers"]]


def is_selected(labels: dict[str, str], selector: dict[str, Any] | None) -> bool:
    """Tell whether a label selector takes these labels: a plain map, or matchLabels and so on.

    None, as an absent selector, takes nothing; an empty one takes everything.
    """
    if selector is None:
        return False
    if not {"matchLabels", "matchExpressions"} & selector.keys():
        return selector.items() <= labels.items()
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _holds(labels, each) for each in selector.get("matchExpressions") or []
    )


def _holds(labels: dict[str, str], expression: dict[str, Any]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise AssertionError(f"{other}: there is no such operator")


def schema_error(one: dict[str, Any], release: str) -> str | None:
    """Say what Kubernetes of a release ("1.33", "latest") would not take of a built-in object.

    None for a sound one, and for one of CUSTOM's groups: their schemas are not at hand.
    """
    group = one["apiVersion"].rpartition("/")[0]
    return None if group in CUSTOM else _schema_error(json.dumps(one, sort_keys=True), release)


@cache
def _schema_error(rendered: str, release: str) -> str | None:
    import kubernetes_validate as schemas

    # It reads and parses its schemas, megabytes of them, for each object.
    if not hasattr(schemas.utils.schema_contents, "cache_info"):
        schemas.utils.schema_contents = cache(schemas.utils.schema_contents)
    one = json.loads(rendered)
    if release == "latest":
        release = schemas.latest_version()
    try:
        schemas.validate(one, release, strict=True)
    except schemas.SchemaNotFoundError as error:
        return str(error.message)
    except schemas.ValidationError as error:
        return f"{title(one)}: {error.json_path}: {error.message}"
    return None


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Reads as Kubernetes does: a string that looks like a date stays a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
