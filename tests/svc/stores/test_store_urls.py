"""An invalid store URL ends the process with one line that gives the reason."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from svc.stores.store_url import StoreUrlInvalid, build_link
from tests.support.services import ROOT

#: Malformed URLs, each with a word of the message. ``SECRET`` stands where a password may stand.
BAD = {
    "an unknown scheme": ("http://SECRET@localhost:6379", "scheme"),
    "no scheme": ("localhost:6379", "scheme"),
    "a scheme that is none": ("SECRET://localhost", "scheme"),
    "a port that is no number": ("redis://localhost:SECRET", "port"),
    "a port out of range": ("redis://:SECRET@localhost:70000", "port"),
    "a password with a slash": ("redis://:SECRET/x@localhost", "%2F"),
    "a password of digits with a slash": ("redis://:1/SECRET@localhost", "%2F"),
    "a password with a question mark": ("redis://:1?SECRET@localhost", "%3F"),
    "a password like a query": ("redis://:1?SECRET=x@localhost", "%3F"),
    "a password with a hash": ("redis://:1#SECRET@localhost", "%23"),
    "a password with a bracket": ("redis://:[SECRET@localhost", "host"),
    "an unknown option": ("redis://localhost:6379?SECRET=blue", "option"),
    "an option without a value": ("redis://localhost:6379?SECRET", "query"),
    "an option that is no number": ("redis://localhost:6379?db=SECRET", "number"),
    "a database that is no number": ("redis://localhost:6379/SECRET", "number"),
    "TLS options without TLS": ("redis://localhost:6379?ssl_ca_certs=SECRET", "option"),
    "an authority's file that is missing": ("rediss://localhost?ssl_ca_certs=/SECRET", "No such"),
    "a certificate's file that is missing": ("rediss://localhost?ssl_certfile=/SECRET", "No such"),
    "a broken address": ("redis://:SECRET@[::1", "host"),
    "a host that no resolver takes": ("redis://SECRET..x", "host"),
    "no socket": ("unix://", "socket"),
    "no service": ("redis+sentinel://:SECRET@localhost:26379", "mymaster"),
    "two services": ("redis+sentinel://localhost:26379/SECRET/two", "mymaster"),
    "no Sentinel": ("redis+sentinel:///SECRET", "host:port"),
    "a Sentinel's port that is no number": ("redis+sentinel://a:1,b:SECRET/one", "host:port"),
    "an unknown option for Sentinel": ("redis+sentinel://a:1/one?SECRET=blue", "option"),
    "a Sentinel's password with a slash": ("redis+sentinel://:SECRET/x@a:1/one", "host:port"),
    "no server": ("redis+cluster://", "host:port"),
    "a cluster's port out of range": ("redis+cluster://:SECRET@a:1,b:99999", "host:port"),
    "an unknown option for a cluster": ("redis+cluster://a:1?SECRET=blue", "option"),
    "a cluster's password with a slash": ("redis+cluster://:SECRET/x@a:1", "host:port"),
}


@pytest.mark.parametrize(("url", "word"), BAD.values(), ids=BAD.keys())
def test_a_bad_url_is_refused_with_a_line_that_names_the_fault(url: str, word: str) -> None:
    with pytest.raises(StoreUrlInvalid, match=word) as refused:
        build_link(url)

    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


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
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.fail("the process serves")

    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("tallykv: KV_STORE_URL: "), line
    assert "secret" not in line
