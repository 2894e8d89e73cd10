"""Each name, method and flag of the client has its place in the reference."""

from __future__ import annotations

import inspect
import re

import pytest

from svc import client
from svc.__main__ import build_parser
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "reference" / "client.md").read_text()
COMMANDS = (
    *("get", "put", "incr", "ls", "watch", "rm"),
    *("token create", "token list", "token revoke"),
)


@pytest.mark.parametrize("name", client.__all__)
def test_a_name_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize(
    "name", [name for name, _ in inspect.getmembers(client.Client) if not name.startswith("_")]
)
def test_a_method_is_explained_and_both_clients_have_it(name: str) -> None:
    assert f"`{name}(" in PAGE
    assert hasattr(client.AsyncClient, name)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_flag_is_explained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args([*command.split(), "--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help", "--include"}

    assert f"`tallykv {command}" in PAGE
    assert flags
    assert [flag for flag in flags if f"`{flag}`" not in PAGE] == []
