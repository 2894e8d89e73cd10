"""Redis over TLS with a CA, a client certificate and an ACL user, in every topology."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis
import trustme
from redis.backoff import NoBackoff
from redis.retry import Retry

from svc.settings import Settings
from svc.stores.reasons import Reason
from tests.support.answers import get, increment, put
from tests.support.ports import free_port
from tests.support.services import running_service
from tests.support.waiting import eventually, until
from tests.svc.stores.conftest import _need_tls
from tests.svc.stores.reason_checks import assert_reason

USER: Final = "tally"
PASSWORD: Final = "data"  # noqa: S105
#: The only user of each server. Its names and commands are the affair of tests/kustomize/test_acl.
ACL: Final = (f"user {USER} on >{PASSWORD} ~* &* +@all", "user default off")
PATIENT: Final[dict[str, Any]] = {"store_timeout_ms": 30_000}
TOPOLOGIES: Final = ("single", "sentinel", "cluster")
NOW: Final = dt.datetime.now(dt.UTC)


class Secured:
    """Servers that accept TLS only, from clients with a certificate, for one user."""

    def __init__(self, binary: str, directory: Path, stack: contextlib.ExitStack) -> None:
        self.binary, self.directory, self.stack = binary, directory, stack
        self.authority = trustme.CA()
        self.trusted = self._write("ca.pem", self.authority.cert_pem)
        self.client = self.issue("client@example.com")
        self.server = self.issue("localhost", "127.0.0.1")

    def _write(self, name: str, blob: trustme.Blob) -> str:
        path = self.directory / name
        blob.write_to_path(str(path))
        return str(path)

    def issue(self, *names: str, authority: trustme.CA | None = None, **options: Any) -> str:
        """Return the path of a new certificate with its key."""
        issued = (authority or self.authority).issue_cert(*names, **options)
        return self._write(f"{free_port()}.pem", issued.private_key_and_cert_chain_pem)

    def start(self, *lines: str, certificate: str = "", is_sentinel: bool = False) -> int:
        """Start a server and return its port."""
        port = free_port()
        directory = self.directory / str(port)
        directory.mkdir()
        certificate = certificate or self.server
        common = [
            *(f"port 0\ntls-port {port}\nbind 127.0.0.1\ndir {directory}", "tls-replication yes"),
            *(f"tls-cert-file {certificate}", f"tls-key-file {certificate}"),
            *(f"tls-ca-cert-file {self.trusted}", "tls-auth-clients yes"),
        ]
        (directory / "redis.conf").write_text("\n".join([*common, *ACL, *lines]) + "\n")
        process = subprocess.Popen(
            [
                *(self.binary, str(directory / "redis.conf")),
                *(["--sentinel"] if is_sentinel else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self.stack.callback(process.wait, 60)
        self.stack.callback(process.kill)
        until(lambda: self.execute(port, "PING") is not None, what="Redis with TLS")
        return port

    def execute(self, port: int, *words: object) -> Any:
        """Run a command; return None if the server does not accept connections yet."""
        client = redis.Redis(
            port=port,
            username=USER,
            password=PASSWORD,
            ssl=True,
            ssl_certfile=self.client,
            ssl_keyfile=self.client,
            ssl_cert_reqs="none",  # the service checks it
            ssl_check_hostname=False,
            retry=Retry(NoBackoff(), 0),
        )
        with contextlib.closing(client), contextlib.suppress(redis.ConnectionError):
            return client.execute_command(*words)  # type: ignore[no-untyped-call]
        return None

    def url(self, topology: str, port: int, **options: str) -> str:
        """Return the URL of the topology whose server, or Sentinel, has the port."""
        tls = {
            "ssl_ca_certs": self.trusted,
            "ssl_certfile": self.client,
            "ssl_keyfile": self.client,
        }
        scheme = "rediss" if topology == "single" else f"rediss+{topology}"
        path = ""
        if topology == "sentinel":
            path = "/tally"
            tls |= {"sentinel_username": USER, "sentinel_password": PASSWORD}
        query = "&".join(f"{name}={value}" for name, value in (tls | options).items() if value)
        return f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{port}{path}?{query}"

    def start_all(self, topology: str) -> int:
        """Start what the topology needs. Return the port that the URL names."""
        if topology == "cluster":
            # The port of the cluster bus would be above the highest one.
            bus = f"cluster-port {free_port()}"
            port = self.start("cluster-enabled yes", "tls-cluster yes", bus, "save ''")
            self.execute(port, "CLUSTER ADDSLOTSRANGE", 0, 16383)
            return port
        port = self.start("save ''")
        if topology == "sentinel":
            port = self.start(
                f"sentinel monitor tally 127.0.0.1 {port} 1",
                f"sentinel auth-user tally {USER}",
                f"sentinel auth-pass tally {PASSWORD}",
                is_sentinel=True,
            )
        return port


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    with contextlib.ExitStack() as stack:
        yield Secured(_need_tls(), tmp_path, stack)


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_a_user_with_a_certificate_reads_and_writes(secured: Secured, topology: str) -> None:
    url = secured.url(topology, secured.start_all(topology))

    async with running_service(Settings(store_url=url, **PATIENT)) as service:

        async def written() -> bool:
            return (await put(service, "k", b"v")).status in {200, 201}

        await eventually(written, what=topology)
        assert (await get(service, "k")).body == b"v"
        assert (await increment(service, "n")).json["value"] == 1


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize(
    "reason", [Reason.CERTIFICATE_EXPIRED, Reason.CERTIFICATE_NAME, Reason.CERTIFICATE_UNTRUSTED]
)
async def test_a_server_with_a_wrong_certificate_is_refused_and_the_reason_told(
    secured: Secured, topology: str, reason: Reason
) -> None:
    # The handshake decides, so whatever the topology asks first may be any server.
    certificate = {
        Reason.CERTIFICATE_EXPIRED: lambda: secured.issue(
            *("localhost", "127.0.0.1"),
            not_before=NOW - dt.timedelta(days=9),
            not_after=NOW - dt.timedelta(days=1),
        ),
        Reason.CERTIFICATE_NAME: lambda: secured.issue("redis.example.com"),
        Reason.CERTIFICATE_UNTRUSTED: lambda: secured.issue("127.0.0.1", authority=trustme.CA()),
    }[reason]()
    port = secured.start("save ''", certificate=certificate)

    await assert_reason(secured.url(topology, port), reason)


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_a_service_without_a_certificate_is_refused_by_redis(
    secured: Secured, topology: str
) -> None:
    port = secured.start("save ''")
    url = secured.url(topology, port, ssl_certfile="", ssl_keyfile="")

    await assert_reason(url, Reason.TLS)


async def test_sentinels_that_refuse_the_password_are_named_as_the_reason(
    secured: Secured,
) -> None:
    port = secured.start_all("sentinel")

    await assert_reason(secured.url("sentinel", port, sentinel_password="wrong"), Reason.AUTH)  # noqa: S106
