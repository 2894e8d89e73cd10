"""The command ``lint``: its exit codes, its formats, and its messages when it can't run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rollout.lint.rules.table import RULES
from rollout.lint.schemas import Schemas
from rollout.manifests.kinds import ISTIO_VERSION
from tests.rollout.lint.lint_runner import CLUSTER, FIXTURES, lint, run

BAD = FIXTURES / "bad"
CLEAN = FIXTURES / "valid" / "blue-green.yaml"


def test_no_findings_exit_with_0() -> None:
    assert run("--with", CLUSTER, CLEAN).code == 0


def test_warnings_alone_exit_with_0() -> None:
    linted = run("--with", CLUSTER, BAD / "weight-of-one.yaml")

    assert linted.code == 0
    assert linted.out.endswith("1 object: 0 errors, 1 warning, 0 infos\n")


def test_an_error_exits_with_1() -> None:
    assert run("--with", CLUSTER, BAD / "negative-weight.yaml").code == 1


@pytest.mark.parametrize("arguments", [[], ["nowhere.yaml"], ["--format", "xml", "nowhere.yaml"]])
def test_unusable_arguments_exit_with_2(arguments: list[str]) -> None:
    linted = run(*arguments)

    assert linted.code == 2
    assert linted.out == ""
    assert "tallykv-rollout lint: " in linted.err


def test_a_file_that_is_not_text_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "kv.yaml").write_bytes(b"\xff\xfe\x00")

    linted = run(tmp_path / "kv.yaml")

    assert linted.code == 2
    assert "not UTF-8" in linted.err


def test_an_empty_directory_exits_with_2(tmp_path: Path) -> None:
    linted = run(tmp_path)

    assert linted.code == 2
    assert "holds no manifests" in linted.err


def test_without_kubectl_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    monkeypatch.setenv("PATH", str(tmp_path))

    linted = run(tmp_path)

    assert linted.code == 2
    assert "install kubectl" in linted.err


def test_files_need_no_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert run("--with", CLUSTER, CLEAN).code == 0


@pytest.mark.parametrize(("version", "code"), [("1.30", 0), ("v1.33.2", 0), ("1.2", 2), ("new", 2)])
def test_the_version_of_kubernetes_can_be_chosen(version: str, code: int) -> None:
    assert run("--kubernetes-version", version, "--with", CLUSTER, CLEAN).code == code


def test_without_its_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pydantic'] = None\n"
        "from rollout.__main__ import main; sys.exit(main(['lint', '--rules']))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == (
        "tallykv-rollout needs pydantic: pip install tallykv-rollout, or ./rollout in a checkout\n"
    )


def test_all_rules_are_listed() -> None:
    listed = run("--rules")

    assert listed.code == 0
    lines = [line.split(maxsplit=2) for line in listed.out.splitlines()]
    assert [line[0] for line in lines] == [rule.id for rule in RULES]
    assert {line[1] for line in lines} == {"error", "warning", "info"}
    assert all(line[2] for line in lines)


def test_text_names_the_place_the_problem_and_the_remedy() -> None:
    path = BAD / "negative-weight.yaml"

    linted = run("--with", CLUSTER, path)

    assert linted.out == (
        "error: negative-weight: VirtualService shop/kv spec.http[0].route[1].weight"
        f" ({path}:8)\n"
        "  the weight is -5\n"
        "  → set it to 0 or more\n"
        "\n"
        "1 object: 1 error, 0 warnings, 0 infos\n"
    )


def test_json_has_all_fields_of_a_finding() -> None:
    path = BAD / "negative-weight.yaml"

    linted = json.loads(lint("--with", CLUSTER, path).out)

    assert linted == {
        "findings": [
            {
                "severity": "error",
                "rule": "negative-weight",
                "kind": "VirtualService",
                "namespace": "shop",
                "name": "kv",
                "file": str(path),
                "line": 8,
                "path": "spec.http[0].route[1].weight",
                "what": "the weight is -5",
                "remedy": "set it to 0 or more",
                "also_in": [],
                "more": [],
            }
        ],
        "objects": 1,
        "errors": 1,
        "warnings": 0,
        "infos": 0,
        "hidden": 0,
        "against": [f"Kubernetes {Schemas().version}", f"Istio {ISTIO_VERSION}"],
    }


def test_github_gets_one_command_per_finding(tmp_path: Path) -> None:
    odd = tmp_path / "a,b.yaml"
    odd.write_text((BAD / "weights-not-100.yaml").read_text())

    linted = run("--format", "github", "--with", CLUSTER, odd)

    [command, summary] = linted.out.splitlines()
    assert command.startswith(
        f"::notice file={tmp_path}/a%2Cb.yaml,line=8,title=weights-not-100::"
        "VirtualService shop/kv spec.http[0].route: the weights sum to 95"
    )
    assert "94.7 %25" in command
    assert "%0A→ " in command
    assert summary == "1 object: 0 errors, 0 warnings, 1 info"


def test_manifests_can_come_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    with (BAD / "weight-of-one.yaml").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        linted = lint("--with", CLUSTER, "-")

    assert [finding["file"] for finding in linted.findings] == ["<stdin>"]


def test_objects_without_a_namespace_get_the_namespace_of_the_option(tmp_path: Path) -> None:
    bare = tmp_path / "kv.yaml"
    bare.write_text(CLEAN.read_text().replace(", namespace: shop", ""))

    assert run("--namespace", "shop", "--with", CLUSTER, bare).code == 0
    assert lint("--with", CLUSTER, bare).findings_of("warning") == [
        "host-not-in-input DestinationRule default/kv spec.host",
        "host-not-in-input VirtualService default/kv spec.http[0].route[0].destination.host",
    ]


def test_existing_manifests_must_be_readable(tmp_path: Path) -> None:
    linted = lint("--with", BAD / "yaml-broken.yaml", "--with", CLUSTER, CLEAN)

    assert linted.code == 1
    assert linted.findings_of() == ["yaml-invalid - -"]


@pytest.mark.parametrize(
    ("kind", "own"), [("List", "  apiVersion: v1\n  kind: Service\n"), ("ServiceList", "")]
)
def test_the_objects_of_a_list_have_lines(kind: str, own: str, tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(
        f"apiVersion: v1\nkind: {kind}\nmetadata: {{}}\nitems:\n"
        f"- metadata: {{name: a}}\n{own}  spec:\n    cluster: None\n"
    )

    [found] = lint(path).findings

    assert (found["rule"], found["name"], found["path"]) == ("unknown-field", "a", "spec.cluster")
    assert path.read_text().splitlines()[found["line"] - 1] == "    cluster: None"


def test_findings_with_different_remedies_are_not_one(tmp_path: Path) -> None:
    backends = [{"name": "a", "port": 0}, {"name": "a", "port": 80, "weight": -1}]
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "a"},
        "spec": {"parentRefs": [{"name": "a"}], "rules": [{"backendRefs": backends}]},
    }
    (tmp_path / "route.json").write_text(json.dumps(route))

    found = lint(tmp_path / "route.json").findings

    assert [(each["path"], each["remedy"]) for each in found] == [
        ("spec.rules[0].backendRefs[0].port", "it must be greater than or equal to 1"),
        ("spec.rules[0].backendRefs[1].weight", "it must be greater than or equal to 0"),
    ]


def test_findings_of_one_cause_are_one_with_the_other_places_below_it(tmp_path: Path) -> None:
    routes = [
        {
            "match": [{"uri": {"exact": f"/{index}"}}],
            "route": [{"destination": {"host": f"h{index}"}}],
        }
        for index in range(36)
    ]
    spec = {"hosts": ["kv.example.com"], "gateways": ["mesh"], "http": routes}
    metadata = {"name": "kv", "namespace": "shop"}
    api = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    (tmp_path / "a.yaml").write_text(json.dumps({**api, "metadata": metadata, "spec": spec}))

    text = run(tmp_path / "a.yaml").out
    [finding] = [
        each
        for each in json.loads(lint(tmp_path / "a.yaml").out)["findings"]
        if each["rule"] == "host-not-in-input" and "shop" in each["what"]
    ]

    assert text.count("host-not-in-input: ") == 1
    assert "  and 35 more: VirtualService shop/kv spec.http[" in text
    assert len(finding["more"]) == 35


def test_findings_below_a_severity_are_left_out_and_counted() -> None:
    path = BAD / "kind-envoyfilter.yaml"

    linted = lint("--min-severity", "warning", path)

    assert linted.code == 0
    assert linted.findings == []
    assert json.loads(linted.out)["hidden"] == 1
    assert "1 of lower severity not shown" in run("--min-severity", "error", path).out
