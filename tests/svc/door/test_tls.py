"""TLS of both ports, with a CA made on the spot: who gets in, and why others do not."""

from __future__ import annotations

import datetime as dt
import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from svc.probe.__main__ import is_well
from svc.serving.tls import ServerTls, TlsUnusable, wants_tls
from svc.settings import Settings
from svc.telemetry.metrics import Metrics
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT, ServiceProcess
from tests.support.waiting import until

NOW = dt.datetime.now(dt.UTC)
PAST = NOW - dt.timedelta(days=2)


@dataclass
class Secured:
    """A service with TLS and client certificates, and what its clients need."""

    process: ServiceProcess
    authority: trustme.CA
    folder: Path

    def client(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.authority.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context

    def get(self, port: int, path: str, context: ssl.SSLContext) -> tuple[int, bytes]:
        client = http.client.HTTPSConnection("localhost", port, context=context, timeout=60)
        try:
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()

    def metric(self, name: str) -> float:
        _, text = self.get(self.process.admin_port, "/metrics", self.client())
        found = [line for line in text.decode().splitlines() if line.startswith(name + " ")]
        return float(found[0].split()[1]) if found else 0.0

    def install(self, certificate: trustme.LeafCert) -> None:
        for name, pem in (
            ("cert.pem", b"".join(blob.bytes() for blob in certificate.cert_chain_pems)),
            ("key.pem", certificate.private_key_pem.bytes()),
        ):
            (self.folder / "new").write_bytes(pem)
            (self.folder / "new").replace(self.folder / name)


class Process(ServiceProcess):
    """Ready is asked over TLS."""

    def wait_ready(self) -> None:
        context = ssl._create_unverified_context()  # noqa: S323

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.output()
            client = http.client.HTTPSConnection("localhost", self.admin_port, context=context)
            try:
                client.request("GET", "/readyz")
                return client.getresponse().status == 200
            except OSError:
                return False
            finally:
                client.close()

        until(ready, what="the service")


@pytest.fixture(scope="module")
def secured(
    shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    process = Process(
        {
            "KV_STORE_URL": shared_redis.url,
            "KV_TLS_CERT_FILE": str(folder / "cert.pem"),
            "KV_TLS_KEY_FILE": str(folder / "key.pem"),
            "KV_TLS_CLIENT_CA_FILE": str(folder / "ca.pem"),
        }
    )
    running = Secured(process, authority, folder)
    running.install(authority.issue_cert("localhost"))
    try:
        process.start()
        yield running
    finally:
        process.stop()


def test_both_ports_speak_tls_and_http_1(secured: Secured) -> None:
    context = secured.client(secured.authority.issue_cert("client@example.com"))

    assert secured.get(secured.process.port, "/v1/limits", context)[0] == 200
    assert secured.get(secured.process.admin_port, "/livez", secured.client())[0] == 200
    with (
        socket.create_connection(("localhost", secured.process.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}


@pytest.mark.parametrize(("path", "tls", "well"), [("/livez", "1", True), ("/none", "1", False)])
def test_the_probe_asks_over_tls(secured: Secured, path: str, tls: str, well: bool) -> None:
    environ = {"KV_ADMIN_PORT": str(secured.process.admin_port), "KV_TLS_CERT_FILE": tls}

    assert is_well(path, environ) is well


def test_the_probe_ends_with_1_if_nobody_speaks_what_it_expects(secured: Secured) -> None:
    environ = {"KV_ADMIN_PORT": str(secured.process.admin_port)}

    done = subprocess.run(
        [sys.executable, "-m", "svc.probe", "/livez"],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def ask(secured: Secured, context: ssl.SSLContext | None) -> None:
    if context is not None:
        secured.get(secured.process.port, "/v1/limits", context)
    else:
        client = http.client.HTTPConnection("localhost", secured.process.port, timeout=60)
        client.request("GET", "/v1/limits")
        client.getresponse()


@pytest.mark.parametrize(
    "reason", ["no_certificate", "untrusted", "expired", "version", "no_tls", "refused_by_client"]
)
def test_who_is_refused_and_why(secured: Secured, reason: str) -> None:
    issue = secured.authority.issue_cert
    contexts: dict[str, ssl.SSLContext | None] = {
        "no_certificate": secured.client(),
        "untrusted": secured.client(trustme.CA().issue_cert("client@example.com")),
        "expired": secured.client(
            issue("c@example.com", not_before=PAST, not_after=PAST + dt.timedelta(days=1))
        ),
        "version": secured.client(issue("c@example.com")),
        "no_tls": None,
        # A client that trusts another CA.
        "refused_by_client": ssl.create_default_context(),
    }
    context = contexts[reason]
    if reason == "version":
        assert context is not None
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    name = f'kv_tls_handshakes_failed_total{{reason="{reason}"}}'
    before = secured.metric(name)

    with pytest.raises((OSError, http.client.HTTPException)):
        ask(secured, context)

    until(lambda: secured.metric(name) > before, what=f"the reason {reason}")


def test_a_replaced_certificate_is_used_and_a_broken_one_is_not(secured: Secured) -> None:
    context = secured.client(secured.authority.issue_cert("client@example.com"))
    soon = (NOW + dt.timedelta(days=3)).replace(microsecond=0)
    expiry = "kv_tls_certificate_expiry_timestamp_seconds"

    secured.install(secured.authority.issue_cert("localhost", not_after=soon))

    until(lambda: secured.metric(expiry) == soon.timestamp(), what="the new certificate")
    with (
        socket.create_connection(("localhost", secured.process.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        shown = connection.getpeercert() or {}
    assert ssl.cert_time_to_seconds(str(shown["notAfter"])) == soon.timestamp()

    (secured.folder / "key.pem").write_text("no key\n")

    assert secured.get(secured.process.port, "/v1/limits", context)[0] == 200
    secured.install(secured.authority.issue_cert("localhost"))
    until(lambda: secured.metric(expiry) > soon.timestamp(), what="the next certificate")


@pytest.mark.parametrize("name", ["cert_file", "key_file", "client_ca_file"])
def test_half_of_it_is_not_taken_for_none(secured: Secured, name: str) -> None:
    settings = Settings(**{f"tls_{name}": secured.folder / "ca.pem"})  # type: ignore[arg-type]

    assert wants_tls(settings)
    with pytest.raises(TlsUnusable, match="both"):
        ServerTls(settings, Metrics(""))


def test_a_service_without_a_usable_certificate_does_not_start(
    secured: Secured, shared_redis: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("")
    process = Process(
        {
            "KV_STORE_URL": shared_redis.url,
            "KV_TLS_CERT_FILE": str(secured.folder / "cert.pem"),
            "KV_TLS_KEY_FILE": str(tmp_path / "none.pem"),
        }
    )
    process.start(wait=False)

    assert process.wait() == 2
    assert "KV_TLS_CERT_FILE, KV_TLS_KEY_FILE: " in process.output()


def test_nobody_is_asked_for_the_pass_phrase_of_a_key(secured: Secured, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key((secured.folder / "key.pem").read_bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    settings = Settings(
        tls_cert_file=secured.folder / "cert.pem", tls_key_file=tmp_path / "key.pem"
    )

    with pytest.raises(TlsUnusable, match="KV_TLS_KEY_FILE: the key is encrypted"):
        ServerTls(settings, Metrics(""))


def test_a_certificate_that_goes_away_while_it_is_read_ends_no_watch(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        tls_cert_file=secured.folder / "cert.pem", tls_key_file=secured.folder / "key.pem"
    )
    tls = ServerTls(settings, Metrics(""))
    secured.install(secured.authority.issue_cert("localhost"))

    def vanished(_: ServerTls) -> float:
        raise FileNotFoundError

    with monkeypatch.context() as patched:
        patched.setattr(ServerTls, "_expires", vanished)
        tls.refresh()
    before = tls._current
    tls.refresh()

    assert tls._current is not before
