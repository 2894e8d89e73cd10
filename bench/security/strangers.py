"""Hostile connections over TLS: who must not get in, and the reason that the service counts."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import re
import ssl
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from bench.frame.errors import BenchError
from bench.frame.processes import POLL_SECONDS, READY_SECONDS
from bench.testbed.servers import Service

HOST: Final = "localhost"
CLIENT: Final = "client@example.com"


class SecuredService(Service):
    """A service whose ports speak TLS, and whose traffic port asks for client certificates."""

    def __init__(self, store_url: str, folder: Path, cores: tuple[int, ...] = ()) -> None:
        self.authority = trustme.CA()
        certificate, authority = folder / "both.pem", folder / "ca.pem"
        issued = self.authority.issue_cert(HOST)
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        self.authority.cert_pem.write_to_path(str(authority))
        settings = {
            "KV_TLS_CERT_FILE": str(certificate),
            "KV_TLS_KEY_FILE": str(certificate),
            "KV_TLS_CLIENT_CA_FILE": str(authority),
        }
        super().__init__(store_url, settings, cores)

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get(self.admin_port, "/readyz", self.trusting())[0] == 200
        return False

    def trusting(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """Return a client's context, which trusts the service's CA."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context

    def get(
        self,
        port: int,
        path: str,
        context: ssl.SSLContext | None,
        session: ssl.SSLSession | None = None,
    ) -> tuple[int, str, ssl.SSLSession | None]:
        """Return the status, the body, and the session of TLS. Raise OSError, HTTPException."""
        if context is None:
            plain = http.client.HTTPConnection(HOST, port, timeout=READY_SECONDS)
        else:
            plain = _Resuming(HOST, port, context, session)
        with contextlib.closing(plain) as client:
            client.request("GET", path)
            answer = client.getresponse()
            body = answer.read().decode()
            found = client.sock.session if isinstance(client.sock, ssl.SSLSocket) else None
            return answer.status, body, found

    def failures(self) -> dict[str, float]:
        """Return how many handshakes failed, by reason."""
        _, text, _ = self.get(self.admin_port, "/metrics", self.trusting())
        found = re.findall(r'(?m)^kv_tls_handshakes_failed_total\{reason="(\w+)"\} (\S+)', text)
        return {reason: float(count) for reason, count in found}

    def counts(self, reason: str, before: float) -> bool:
        """Wait until a failure of this reason is counted. Return False if none is in time."""
        deadline = time.monotonic() + READY_SECONDS
        while self.failures().get(reason, 0) <= before:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


class _Resuming(http.client.HTTPSConnection):
    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, session: ssl.SSLSession | None
    ) -> None:
        super().__init__(host, port, context=context, timeout=READY_SECONDS)
        self._tls = context
        self._session = session

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(
            self.sock, server_hostname=self.host, session=self._session
        )


@dataclass(frozen=True)
class Stranger:
    """A client that must not get in, and the reason with which it is counted."""

    name: str
    reason: str
    build: Callable[[SecuredService], ssl.SSLContext | None]
    #: Whether it resumes a session that the admin port gave it.
    resumes: bool = False

    def knock(self, service: SecuredService) -> int | None:
        """Return the status that it gets at the traffic port; None if it gets no answer."""
        context, session = self.build(service), None
        if self.resumes:
            status, _, session = service.get(service.admin_port, "/livez", context)
            if status != 200 or session is None:
                raise BenchError(f"the admin port gave no session, but {status}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return service.get(service.port, "/v1/limits", context, session)[0]
        return None


def _expired(service: SecuredService) -> ssl.SSLContext:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    began = yesterday - dt.timedelta(days=9)
    issued = service.authority.issue_cert(CLIENT, not_before=began, not_after=yesterday)
    return service.trusting(issued)


def _old(service: SecuredService) -> ssl.SSLContext:
    context = service.trusting(service.authority.issue_cert(CLIENT))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _tls_1_2(service: SecuredService) -> ssl.SSLContext:
    # Its sessions come with the handshake, so that they can be resumed at once.
    context = service.trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


CASES: Final = (
    Stranger("a client without a certificate", "no_certificate", SecuredService.trusting),
    Stranger(
        "a certificate of another CA",
        "untrusted",
        lambda service: service.trusting(trustme.CA().issue_cert(CLIENT)),
    ),
    Stranger("a certificate that has expired", "expired", _expired),
    Stranger("TLS 1.1", "version", _old),
    Stranger("HTTP without TLS", "no_tls", lambda _: None),
    Stranger(
        "a session of the admin port, without a certificate", "no_certificate", _tls_1_2, True
    ),
)
