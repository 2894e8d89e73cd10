"""``tallykv token``: a token is shown once, and its file holds no more than its hash."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from svc.__main__ import main
from svc.door.tokens import find_token, parse_tokens
from tests.support.services import ROOT

CREATE = ("token", "create", "--scope", "read,write", "--id", "ci")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KV_TOKENS_FILE", str(tmp_path / "tokens"))
    return tmp_path / "tokens"


def test_a_token_is_made_listed_and_revoked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ("--prefix", "team-a/", "--prefix", "b c,/", "--counter-prefix", "a:")
    rates = "read=100/s,write=600/m,delete=5/10s,list=none"
    assert main([*CREATE, *limits, "--expires", "90d", "--rates", rates]) == 0
    token = capsys.readouterr().out.strip()

    found = find_token(parse_tokens(path.read_text()), token)
    assert found is not None
    assert found.grant.keys == ("team-a/", "b c,/")
    assert found.grant.scopes == {"read", "write"}
    assert 89 < (found.expires - time.time()) / 86_400 < 91
    assert token.split("_")[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600

    assert main(["token", "list"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("ci read,write expires=2")
    assert shown.endswith(f" keys=team-a/,b%20c%2C/ counters=a: rates={rates}\n")
    assert "sha256" not in shown

    assert main(["token", "revoke", "ci"]) == 0
    assert parse_tokens(path.read_text()) == {}
    assert main(["token", "revoke", "ci"]) == 1


def test_what_else_the_file_holds_stays(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("# of the team\n")
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path.name)

    assert main([*CREATE, "--file", str(link)]) == 0

    assert path.read_text().startswith("# of the team\nci sha256:")
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert "keys" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((*CREATE[:3], "all"), "scopes"),
        ((*CREATE, "--expires", "soon"), "expires"),
        ((*CREATE[:-1], "a_b"), "id"),
        ((*CREATE, "--prefix", ""), "prefix"),
        ((*CREATE, "--prefix", "\udcff"), "UTF-8"),
        ((*CREATE[:3], "read\n", "--expires", "1d"), "line breaks"),
        (("token", "list", "--file", "/nowhere/tokens"), "No such file"),
    ],
)
def test_misuse_is_refused_in_one_line(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], word: str
) -> None:
    assert main(arguments) == 2

    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert word in err
    assert not path.exists()


@pytest.mark.parametrize(
    "arguments", [CREATE, ("token", "list"), ("token", "revoke", "ci")], ids=" ".join
)
def test_a_file_that_is_no_text_is_named_and_stays(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    path.write_bytes(b"\xff\xfe")

    assert main(arguments) == 2

    assert capsys.readouterr().err == f"tallykv: {path}: it is not UTF-8\n"
    assert path.read_bytes() == b"\xff\xfe"


def test_a_token_that_nobody_could_read_is_told(path: Path) -> None:
    ended = in_shell(f"{' '.join(CREATE)} >/dev/full")

    assert ended.returncode == 2
    assert ended.stderr.endswith(
        "standard output: No space left on device\ntallykv: nobody has seen the token: revoke ci\n"
    )


def test_a_reader_of_the_list_that_has_enough_ends_it_quietly(path: Path) -> None:
    path.write_text("".join(f"t{n} sha256:{n:064x} read\n" for n in range(5000)))

    ended = in_shell("token list | head -n 1")

    assert (ended.stdout, ended.stderr) == ("t0 read\n", "")


def in_shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"{sys.executable} -m svc {command}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_id_is_not_given_twice(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(CREATE) == 0
    before = path.read_text()

    assert main(CREATE) == 2

    assert path.read_text() == before
    assert "id" in capsys.readouterr().err.splitlines()[-1]


def test_a_service_without_usable_tokens_does_not_start(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("nonsense\n")

    assert (
        main(["serve", "--port", "0", "--admin-port", "0", "--store-url", "redis://localhost:1"])
        == 2
    )

    err = capsys.readouterr().err
    assert "KV_TOKENS_FILE: line 1: " in err
    assert "nonsense" not in err
