"""``python -m kustomize.pin``: images by digest, and the release in the labels, in one command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.manifests import ROOT, containers, render, templates

DIGEST: Final = "sha256:" + "0123456789abcdef" * 4
OTHER: Final = "sha256:" + "fedcba9876543210" * 4
SERVICE: Final = f"tallykv=registry.example.com:5000/team/tallykv:0.2.0@{DIGEST}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the manifests, to change."""
    for name in ("kustomize", "istio"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def pin(checkout: Path, directory: str, *images: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kustomize.pin", directory, *images],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def pods(checkout: Path, directory: str) -> list[dict[str, Any]]:
    return [template for _, template in templates(render(checkout / directory))]


def images(checkout: Path, directory: str) -> set[str]:
    return {c["image"] for template in pods(checkout, directory) for c in containers(template)}


def test_one_command_pins_production_and_names_the_release(checkout: Path) -> None:
    where = "kustomize/overlays/prod"
    before = (checkout / where / "kustomization.yaml").read_text()

    done = pin(checkout, where, SERVICE, f"redis=redis:7.4.2@{OTHER}")

    assert (done.returncode, done.stderr) == (0, "")
    assert images(checkout, where) == {
        f"registry.example.com:5000/team/tallykv:0.2.0@{DIGEST}",
        f"redis:7.4.2@{OTHER}",
    }
    versions = {
        (labels["version"], labels["app.kubernetes.io/version"])
        for template in pods(checkout, where)
        if (labels := template["metadata"]["labels"])["app.kubernetes.io/name"] == "kv"
    }
    assert versions == {("0.2.0", "0.2.0")}
    after = (checkout / where / "kustomization.yaml").read_text()
    assert "PLACEHOLDER" in before
    assert "PLACEHOLDER" not in after
    assert after.splitlines()[:14] == before.splitlines()[:14]
    assert after.splitlines()[-2:] == before.splitlines()[-2:]


def test_pinning_one_image_leaves_the_other_and_the_placeholders_comment(checkout: Path) -> None:
    where = "kustomize/overlays/prod"

    assert pin(checkout, where, f"redis=redis@{OTHER}").returncode == 0

    zeros = "sha256:" + "0" * 64
    assert images(checkout, where) == {f"tallykv:0.1.0@{zeros}", f"redis:7@{OTHER}"}
    assert "# PLACEHOLDERS" in (checkout / where / "kustomization.yaml").read_text()


def test_a_directory_without_a_list_of_images_gets_one(checkout: Path) -> None:
    where = "kustomize/overlays/dev"

    assert pin(checkout, where, f"redis=mirror.example.com/redis@{OTHER}").returncode == 0

    assert images(checkout, where) == {"tallykv:0.1.0", f"mirror.example.com/redis@{OTHER}"}


def test_a_release_for_the_mesh_is_pinned_the_same_way(checkout: Path) -> None:
    file = checkout / "istio/releases/next/kustomization.yaml"

    assert pin(checkout, "istio/releases/next", SERVICE.replace("0.2.0", "1.10")).returncode == 0

    assert file.read_text() == (
        "# The new release.\n"
        "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
        "kind: Component\n"
        "images:\n"
        "  - name: tallykv\n"
        "    newName: registry.example.com:5000/team/tallykv\n"
        '    newTag: "1.10"\n'
        f"    digest: {DIGEST}\n"
        "labels:\n"
        "  - pairs:\n"
        '      app.kubernetes.io/version: "1.10"\n'
        '      version: "1.10"\n'
        "    includeTemplates: true\n"
    )


def test_pinning_again_changes_nothing(checkout: Path) -> None:
    where = "kustomize/overlays/staging"
    file = checkout / where / "kustomization.yaml"
    assert pin(checkout, where, SERVICE).returncode == 0
    once = file.read_text()

    assert pin(checkout, where, SERVICE).returncode == 0

    assert file.read_text() == once


@pytest.mark.parametrize(
    ("directory", "image", "said"),
    [
        ("kustomize/overlays/prod", "tallykv=tallykv:0.2.0", "not NAME=REPOSITORY"),
        ("kustomize/overlays/prod", "tallykv:0.2.0@" + DIGEST, "not NAME=REPOSITORY"),
        ("kustomize/overlays/prod", f"tallykv=tallykv@{DIGEST}", "the tag of tallykv is missing"),
        ("kustomize/overlays/prod", f"redi=redis:7@{DIGEST}", "no manifest uses an image redi"),
        ("kustomize/overlays/prod", "redis=redis:7@sha256:" + "0" * 64, "is the placeholder"),
        ("kustomize/overlays", SERVICE, "there is no kustomization.yaml"),
    ],
)
def test_what_can_not_be_pinned_is_refused_and_nothing_is_written(
    checkout: Path, directory: str, image: str, said: str
) -> None:
    done = pin(checkout, directory, f"redis=redis:7@{OTHER}", image)

    assert done.returncode == 2
    assert said in done.stderr
    for name in ("kustomize", "istio"):
        for file in (checkout / name).rglob("*.yaml"):
            assert file.read_text() == (ROOT / file.relative_to(checkout)).read_text()
