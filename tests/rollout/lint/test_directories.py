"""Directories: kustomize builds them, the linter searches them, a plan applies them in order."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.rollout.lint.lint_runner import CLUSTER, FIXTURES, lint

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="needs kubectl 1.21 or later"
)
ROUTES: Final = (FIXTURES / "valid" / "weighted-canary.yaml").read_text()
RULE: Final = (FIXTURES / "bad" / "removed-while-used" / "50" / "all.yaml").read_text()

COMPONENT: Final = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
labels: [{pairs: {team: shop}}]
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def kustomization(*resources: str) -> str:
    listed = "".join(f"  - {each}\n" for each in resources)
    return "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n" + listed


@needs_kubectl
def test_kustomize_output_is_linted_and_named_by_its_kustomization(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"kustomization.yaml": kustomization("routes.yaml"), "routes.yaml": ROUTES + "    - {}\n"},
    )

    linted = lint("--with", CLUSTER, tmp_path)

    assert linted.findings_of() == ["route-actions VirtualService shop/kv spec.http[2]"]
    assert linted.findings[0]["file"] == str(tmp_path / "kustomization.yaml")
    assert linted.findings[0]["line"] is None


@needs_kubectl
def test_the_directories_of_a_tree_resolve_references_to_each_other(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "workloads/kustomization.yaml": kustomization("all.yaml"),
            "workloads/all.yaml": CLUSTER.read_text(),
            "steps/05/kustomization.yaml": kustomization("routes.yaml"),
            "steps/05/routes.yaml": ROUTES,
            "steps/50/kustomization.yaml": kustomization("routes.yaml"),
            "steps/50/routes.yaml": ROUTES.replace("subset: canary", "subset: canry"),
        },
    )

    linted = lint(tmp_path)

    files = {(each["rule"], each["file"]) for each in linted.findings}
    assert files == {
        ("subset-undefined", str(tmp_path / "steps" / "50" / "kustomization.yaml")),
        ("gateway-unused", str(tmp_path / "workloads" / "kustomization.yaml")),
    }


@needs_kubectl
def test_the_same_finding_in_several_directories_is_reported_once(tmp_path: Path) -> None:
    broken = ROUTES.replace("weight: 95", "weight: 94")
    for step in ("a", "b", "c"):
        write(
            tmp_path,
            {f"{step}/kustomization.yaml": kustomization("it.yaml"), f"{step}/it.yaml": broken},
        )

    linted = lint("--with", CLUSTER, tmp_path)

    assert linted.findings_of() == [
        "weights-not-100 VirtualService shop/kv spec.http[0].route",
        "weights-not-100 VirtualService shop/kv spec.http[1].route",
    ]
    assert all(len(each["also_in"]) == 2 for each in linted.findings)


@needs_kubectl
def test_an_unused_component_or_file_is_reported(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "used/kustomization.yaml": COMPONENT,
            "unused/kustomization.yaml": COMPONENT,
            "overlay/kustomization.yaml": kustomization("routes.yaml")
            + "components: [../used]\nconfigurations: [names.yaml]\n",
            "overlay/routes.yaml": ROUTES,
            "overlay/names.yaml": "nameReference: []\n",
            "shared/names.yaml": "nameReference: []\n",
        },
    )

    linted = lint("--with", CLUSTER, tmp_path)

    said = {each["file"] for each in linted.findings}
    assert {each["rule"] for each in linted.findings} == {"not-checked"}
    assert said == {
        str(tmp_path / "unused" / "kustomization.yaml"),
        str(tmp_path / "shared" / "names.yaml"),
    }


def test_a_directory_of_plain_files_is_one_bundle(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": CLUSTER.read_text(), "deeper/b.yml": ROUTES, "notes.txt": "no"})

    linted = lint(tmp_path)

    assert linted.findings_of() == ["gateway-unused Gateway shop/kv -"]


def test_steps_are_applied_in_the_order_of_their_numbers_and_accumulate(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"1-subsets/all.yaml": RULE.split("---")[0], "10-routes/a.yaml": ROUTES},
    )

    linted = lint("--plan", tmp_path, "--with", CLUSTER)

    assert linted.findings_of() == []


def test_the_wrong_order_of_steps_is_an_error(tmp_path: Path) -> None:
    stable = RULE.split("---")[0].replace("  - {name: canary, labels: {track: canary}}\n", "")
    write(
        tmp_path,
        {
            "before/all.yaml": stable,
            "routes/all.yaml": ROUTES.replace("subset: canary", "subset: stable"),
            "canary/all.yaml": ROUTES,
            "subsets/all.yaml": RULE.split("---")[0],
        },
    )
    order = ("before", "routes", "subsets", "canary")
    reverse = ("before", "routes", "canary", "subsets")

    right = lint("--with", CLUSTER, "--plan", *(tmp_path / each for each in order))
    wrong = lint("--with", CLUSTER, "--plan", *(tmp_path / each for each in reverse))

    assert right.findings_of("error") == []
    assert set(wrong.findings_of("error")) == {
        "subset-undefined VirtualService shop/kv spec.http[0].route[1].destination.subset",
        "subset-undefined VirtualService shop/kv spec.http[1].route[1].destination.subset",
    }


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"blue/kv.yaml": ROUTES, "green/kv.yaml": ROUTES}, "name the steps themselves"),
        ({"blue/readme.txt": ""}, "holds no steps"),
    ],
)
def test_a_plan_without_an_order_could_not_run(
    tmp_path: Path, files: dict[str, str], says: str
) -> None:
    linted = lint("--plan", write(tmp_path, files))

    assert linted.code == 2
    assert says in linted.err


def test_a_file_that_is_no_yaml_is_no_step(tmp_path: Path) -> None:
    (tmp_path / "steps.txt").write_text("")

    linted = lint("--plan", tmp_path / "steps.txt")

    assert linted.code == 2
    assert "a step is one of these" in linted.err
