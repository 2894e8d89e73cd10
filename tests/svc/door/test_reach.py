"""Where the service listens: on this machine alone, unless somebody says who may come in."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

from svc.settings import SettingInvalid, Settings, load_settings
from tests.support.services import ROOT

EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - nothing listens there


def test_without_settings_only_this_machine_reaches_it() -> None:
    assert (Settings().host, Settings().admin_host) == ("127.0.0.1", "")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"KV_HOST": "127.0.0.9", "KV_ADMIN_HOST": "::1"},
        {"KV_HOST": "localhost"},
        {"KV_HOST": EVERYWHERE, "KV_AUTH": "none"},
        {"KV_HOST": "kv.example.com", "KV_ADMIN_HOST": "::", "KV_AUTH": "none"},
    ],
)
def test_it_starts_where_nobody_else_comes_or_somebody_decides_who_does(
    environ: dict[str, str],
) -> None:
    load_settings(environ, {})


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        *(
            ({"KV_HOST": host}, "KV_HOST")
            for host in (EVERYWHERE, "::", "10.1.2.3", "kv", "128.0.0.1")
        ),
        ({"KV_ADMIN_HOST": EVERYWHERE}, "KV_ADMIN_HOST"),
        # Whatever it is today, tomorrow the name may have another address.
        ({"KV_HOST": "localhost.example.com"}, "KV_HOST"),
    ],
)
def test_it_refuses_to_serve_other_hosts_without_asking(
    environ: dict[str, str], variable: str
) -> None:
    with pytest.raises(SettingInvalid) as refused:
        load_settings(environ, {})

    assert str(refused.value).startswith(f"{variable}: ")
    assert "KV_TOKENS_FILE" in str(refused.value)
    assert "KV_AUTH=none" in str(refused.value)


def test_the_refusal_of_the_command_is_one_line() -> None:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("KV_")}

    ended = subprocess.run(
        [sys.executable, "-m", "svc", "serve", "--host", EVERYWHERE],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("tallykv: KV_HOST: ")
    assert ended.stderr.count("\n") == 1
