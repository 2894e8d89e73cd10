"""TLS of both ports: certificate and key are read again when they are replaced.

A new file is tried by itself first. If it can't be used, connections go on with the one before.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..settings import Settings
from ..telemetry.instruments import Counter
from ..telemetry.metrics import Metrics

#: How often to look whether the files changed.
WATCH_SECONDS: Final = 1.0

log = logging.getLogger(__name__)

State = Sequence[tuple[int, int, int] | None]


class TlsUnusable(ValueError):
    """Certificate, key or client CA can't be used. The message names the setting."""


def wants_tls(settings: Settings) -> bool:
    """Return True if one of the files is named: TLS half configured must not mean none."""
    named = (settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
    return any(path is not None for path in named)


class ServerTls:
    """The contexts of both ports. ``traffic`` asks for client certificates if there is a CA."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Read the files. Raises TlsUnusable."""
        if settings.tls_cert_file is None or settings.tls_key_file is None:
            raise TlsUnusable("KV_TLS_CERT_FILE, KV_TLS_KEY_FILE: TLS needs both")
        self._settings = settings
        self._failures = metrics.tls_handshakes_failed
        self._files = [
            path
            for path in (settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
            if path is not None
        ]
        self._state = self._look()
        self._current = self._build()
        self._expiry = self._expires()
        metrics.watch_certificate(lambda: self._expiry)
        self.traffic = self._front(with_clients=True)
        self.admin = self._front(with_clients=False)

    def _front(self, *, with_clients: bool) -> ssl.SSLContext:
        """Return a context that hands each connection on to the current one."""
        context = self._build()[with_clients]

        def choose(connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._current[with_clients]

        context.sni_callback = choose
        context.sslobject_class = _watched(self._failures)
        return context

    def _build(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Return the contexts without and with client certificates. Raises TlsUnusable."""
        settings = self._settings
        contexts = []
        for authority in (None, settings.tls_client_ca_file):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            try:
                context.load_cert_chain(
                    str(settings.tls_cert_file), str(settings.tls_key_file), _refuse_to_ask
                )
            except OSError as error:
                reason = "it has no certificate with this key" if error.errno is None else ""
                raise _unusable("KV_TLS_CERT_FILE, KV_TLS_KEY_FILE", error, reason) from None
            if authority is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                try:
                    context.load_verify_locations(cafile=str(authority))
                except OSError as error:
                    raise _unusable("KV_TLS_CLIENT_CA_FILE", error) from None
            contexts.append(context)
        return contexts[0], contexts[1]

    def _expires(self) -> float:
        """Return when the certificate expires, in seconds since the epoch."""
        # The only decoder of certificates in the standard library; it has no public name.
        decode = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]  # noqa: SLF001
        decoded = decode(str(self._settings.tls_cert_file))
        return float(ssl.cert_time_to_seconds(decoded["notAfter"]))

    def _look(self) -> State:
        return [_state_of(path) for path in self._files]

    def refresh(self) -> None:
        """Read the files if one of them changed."""
        state = self._look()
        if state == self._state:
            return
        try:
            current, expiry = self._build(), self._expires()
        except (TlsUnusable, OSError) as error:
            # Perhaps only one of two files was replaced so far, or one was at this moment: look
            # again next time.
            log.warning("new certificate can't be used", extra={"reason": str(error)})
            return
        self._current, self._expiry = current, expiry
        self._state = state
        log.info("certificate was read again", extra={"expires": self._expiry})

    async def watch(self) -> None:
        """Refresh now and then, until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.refresh()


def _refuse_to_ask() -> str:
    """Stand for OpenSSL's question for a key's pass phrase, which would hold up every request."""
    raise TlsUnusable("KV_TLS_KEY_FILE: the key is encrypted; give one without a pass phrase")


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _unusable(setting: str, error: OSError, reason: str = "") -> TlsUnusable:
    is_tls = isinstance(error, ssl.SSLError)
    said = (reason if is_tls else error.strerror) or "it holds no certificates"
    return TlsUnusable(f"{setting}: {said}")


def _watched(failures: Counter) -> type[ssl.SSLObject]:
    """Return an SSLObject that counts failed handshakes by OpenSSL's reason.

    Neither asyncio nor uvloop tells anybody else about them.
    """

    class Watched(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                failures[reason_of(error),] += 1
                raise

    return Watched


#: OpenSSL's numbers of verification failures (x509_vfy.h) that have words of their own.
_VERIFY: Final = {
    9: "not_yet_valid",
    10: "expired",
    **dict.fromkeys((18, 19, 20, 21), "untrusted"),
}
_REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_certificate",
    "UNSUPPORTED_PROTOCOL": "version",
    "NO_SHARED_CIPHER": "version",
    "HTTP_REQUEST": "no_tls",
    "WRONG_VERSION_NUMBER": "no_tls",
    "NO_APPLICATION_PROTOCOL": "protocol",
}


def reason_of(error: ssl.SSLError) -> str:
    """Return why a handshake failed, as one of a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, "invalid_certificate")
    reason = error.reason or ""
    if "ALERT" in reason:  # the client refused: our certificate, most often
        return "refused_by_client"
    return _REASONS.get(reason, "other")
