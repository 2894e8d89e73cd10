"""``rediss+sentinel://`` and ``rediss+cluster://``: TLS, and Sentinels with a password."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme
from redis.backoff import NoBackoff
from redis.retry import Retry

from svc.settings import Settings
from tests.support.answers import assert_refused, get, increment, put
from tests.support.ports import free_port
from tests.support.services import running_service
from tests.support.waiting import eventually, until
from tests.svc.stores.conftest import _need_tls


class Secured:
    """Servers that accept TLS only, with one certificate for all."""

    def __init__(self, binary: str, directory: Path, stack: contextlib.ExitStack) -> None:
        authority = trustme.CA()
        self.binary, self.directory, self.stack = binary, directory, stack
        self.authority, self.both = str(directory / "ca.pem"), str(directory / "both.pem")
        authority.cert_pem.write_to_path(self.authority)
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(self.both)

    def start(self, *more: str, login: str = "") -> int:
        port = free_port()
        directory = self.directory / str(port)
        directory.mkdir()
        lines = [
            *(f"port 0\ntls-port {port}\nbind 127.0.0.1\ndir {directory}", "tls-replication yes"),
            *(f"tls-cert-file {self.both}", f"tls-key-file {self.both}"),
            *(f"tls-ca-cert-file {self.authority}", "tls-auth-clients no"),
            *([f"requirepass {login}"] if login else []),
            *(each for each in more if not each.startswith("--")),
        ]
        (directory / "redis.conf").write_text("\n".join(lines) + "\n")
        options = [each for each in more if each.startswith("--")]
        process = subprocess.Popen(
            [self.binary, str(directory / "redis.conf"), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self.stack.callback(process.wait, 10)
        self.stack.callback(process.kill)
        until(lambda: self._answers(port, login), what="Redis with TLS")
        return port

    def client(self, port: int, password: str = "") -> redis.Redis:
        return redis.Redis(
            port=port,
            ssl=True,
            ssl_ca_certs=self.authority,
            password=password or None,
            retry=Retry(NoBackoff(), 0),
        )

    def _answers(self, port: int, password: str) -> bool:
        try:
            with contextlib.closing(self.client(port, password)) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    with contextlib.ExitStack() as stack:
        yield Secured(_need_tls(), tmp_path, stack)


async def test_a_cluster_is_reached_over_tls(secured: Secured) -> None:
    port = secured.start(
        # The port of the cluster bus would be above the highest one.
        *("cluster-enabled yes", "tls-cluster yes", f"cluster-port {free_port()}", "save ''")
    )
    with contextlib.closing(secured.client(port)) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]
    url = f"rediss+cluster://127.0.0.1:{port}?ssl_ca_certs={secured.authority}"

    async with running_service(Settings(store_url=url, store_timeout_ms=5000)) as service:

        async def written() -> bool:
            return (await put(service, "k", b"v")).status in {200, 201}

        await eventually(written, what="the cluster")
        assert (await get(service, "k")).body == b"v"
        assert (await increment(service, "n")).json["value"] == 1


@pytest.mark.parametrize("right", [True, False])
async def test_sentinels_with_tls_and_a_password_of_their_own_name_the_primary(
    secured: Secured, right: bool
) -> None:
    primary = secured.start("save ''", login="data")
    sentinel = secured.start(
        f"sentinel monitor tally 127.0.0.1 {primary} 1",
        "sentinel auth-pass tally data",
        "--sentinel",
        login="watch",
    )
    own = "watch" if right else "hunter2"
    url = (
        f"rediss+sentinel://:data@127.0.0.1:{sentinel}/tally"
        f"?ssl_ca_certs={secured.authority}&sentinel_password={own}"
    )

    async with running_service(Settings(store_url=url, store_timeout_ms=5000)) as service:
        answer = await put(service, "k", b"v")

        if right:
            assert answer.status == 201
            assert (await get(service, "k")).body == b"v"
        else:
            assert_refused(answer)
            assert b"hunter2" not in answer.body
