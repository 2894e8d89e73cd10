"""Where manifests come from: directories of steps, lists of a cluster, a mistake's line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from tests.rollout.cli.cli_runner import call
from tests.rollout.envoy.envoy_binary import need_envoy
from tests.rollout.probing.meshes import SHOP, virtual_service, write

STEP = """
- route:
  - {{destination: {{host: kv, subset: stable}}, weight: {}}}
  - {{destination: {{host: kv, subset: canary}}, weight: {}}}
"""


def test_each_step_is_tested_with_its_assertions_and_with_those_of_all(tmp_path: Path) -> None:
    need_envoy()
    for name, canary in (("00", 0), ("10", 10), ("100", 100)):
        rules = virtual_service(STEP.format(100 - canary, canary))
        write(tmp_path / "steps" / name, vs_yaml=rules)
    base = [*yaml.safe_load_all((SHOP / "base.yaml").read_text())]
    (tmp_path / "live.yaml").write_text(json.dumps({"kind": "List", "items": base}))
    suite = """
        given: live.yaml
        steps: steps
        tests:
        - {request: GET kv.example.com/, status: 200}
        - {request: GET kv.example.com/, at: 0, to: stable}
        - {request: GET kv.example.com/, at: ["10"], to: {stable: 90, canary: 10}}
        - {request: GET kv.example.com/, at: [10, 100], to: canary}
    """
    write(tmp_path, a_test_yaml=suite)

    result = call("test", tmp_path)

    assert "6 of 7 assertions hold" in result.out, result.err
    assert f"FAILED {tmp_path / 'a.test.yaml'}:8 at step 10: GET kv.example.com/" in result.out


def test_mistakes_in_a_file_are_named_with_their_lines(tmp_path: Path) -> None:
    suite = """
        tests:
        - {request: GET kv.example.com/, to: stable, colour: blue}
        - request: kv
          to: {stable: 90, canary: 20}
        - request: GET kv.example.com/
          timeout: soon
        - request: GET kv.example.com/
    """
    file = write(tmp_path, a_test_yaml=suite) / "a.test.yaml"

    result = call("test", file)

    assert result.code == 2
    said = [line.partition(f"{file}:")[2] for line in result.err.splitlines()]
    assert said[:2] == [
        "3: tests[0].colour: there is no field colour",
        "5: tests[1].to: the shares sum to 110, and not to 100",
    ]
    assert said[2].startswith('7: tests[2].timeout: "soon" is not a duration')
    assert said[3].startswith("8: tests[3]: it expects nothing: add one of to, status, ")


def test_an_unknown_step_is_a_mistake(tmp_path: Path) -> None:
    for name in ("00", "10"):
        write(tmp_path / "steps" / name, vs_yaml=virtual_service(STEP.format(100, 0)))
    suite = "steps: steps\ntests:\n- {request: GET kv.example.com/, at: 25, status: 200}\n"
    file = write(tmp_path, a_test_yaml=suite) / "a.test.yaml"

    result = call("test", file)

    assert (result.code, result.err) == (2, f"{file}:3: there is no step 25; there are 00, 10\n")


def test_the_schema_knows_every_field_of_the_example() -> None:
    schema = json.loads(call("test", "--schema").out)
    [example] = yaml.safe_load_all((SHOP / "right.test.yaml").read_text())
    known = schema["$defs"]["Assertion"]["properties"]

    assert {name for each in example["tests"] for name in each} <= set(known)
    assert set(example) <= set(schema["properties"])


def test_a_revision_of_git_is_a_side_of_a_comparison(tmp_path: Path, monkeypatch: object) -> None:
    need_envoy()
    write(tmp_path / "deploy", vs_yaml=virtual_service(STEP.format(90, 10)))
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", "-C", tmp_path, *identity, *words], check=True)
    write(tmp_path / "deploy", vs_yaml=virtual_service(STEP.format(75, 25)))
    monkeypatch.chdir(tmp_path)  # type: ignore[attr-defined]

    result = call("diff", "HEAD:deploy", "deploy")

    assert result.code == 1, result.err
    assert result.out.splitlines()[0] == (
        "GET kv.example.com/ (and 5 classes more): stable 90 %, canary 10 % →"
        " stable 75 %, canary 25 %"
    )
