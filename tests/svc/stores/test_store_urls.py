"""An invalid store URL ends the process with one line that gives the reason."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from svc.stores.store_url import StoreUrlInvalid, build_link
from tests.support.services import ROOT

BAD = {
    "an unknown scheme": ("http://localhost:6379", "scheme"),
    "no scheme": ("localhost:6379", "scheme"),
    "a port that is no number": ("redis://localhost:abc", "ort"),
    "a port out of range": ("redis://localhost:70000", "ort"),
    "an unknown option": ("redis://localhost:6379?colour=blue", "colour"),
    "an option that is no number": ("redis://localhost:6379?health_check_interval=x", "health"),
    "a broken address": ("redis://[::1", "IPv6"),
    "no service": ("redis+sentinel://localhost:26379", "mymaster"),
    "two services": ("redis+sentinel://localhost:26379/one/two", "mymaster"),
    "no Sentinel": ("redis+sentinel:///one", "host:port"),
    "a Sentinel's port that is no number": ("redis+sentinel://a:1,b:x/one", "b:x"),
    "an unknown option for Sentinel": ("redis+sentinel://a:1/one?colour=blue", "colour"),
    "no server": ("redis+cluster://", "host:port"),
    "a cluster's port out of range": ("redis+cluster://a:1,b:99999", "b:99999"),
    "an unknown option for a cluster": ("redis+cluster://a:1?colour=blue", "colour"),
}


@pytest.mark.parametrize(("url", "word"), BAD.values(), ids=BAD.keys())
def test_a_bad_url_is_refused_with_a_line_that_names_the_fault(url: str, word: str) -> None:
    with pytest.raises(StoreUrlInvalid, match=word):
        build_link(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:6379",
        "redis://:secret@localhost:6379?colour=blue",
        "redis://:secret@[::1",
    ],
)
def test_the_process_ends_with_code_2_and_one_line_that_keeps_the_password(url: str) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("KV_")}
    free_ports = {"KV_PORT": "0", "KV_ADMIN_PORT": "0", "KV_HOST": "127.0.0.1"}

    try:
        ended = subprocess.run(
            [sys.executable, "-m", "svc", "serve"],
            cwd=ROOT,
            env={**environ, **free_ports, "KV_STORE_URL": url},
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.fail("the process serves")

    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("tallykv: KV_STORE_URL: "), line
    assert "secret" not in line
