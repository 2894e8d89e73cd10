"""Why Redis can't be used: each failure of a connection or a reply, as one of a few words.

The words are labels of a metric, and appear in logs and at ``/statusz``. They are all that is said:
the text of a failure may hold a part of the store's URL.
"""

from __future__ import annotations

import enum
import errno
import re
import ssl
from socket import gaierror
from typing import Final

from .wire import ReplyError, WireBroken


class Reason(enum.StrEnum):
    """Why a round trip failed. docs/reference/errors.md explains each."""

    REFUSED = "refused"
    DNS = "dns"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    TLS = "tls"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NAME = "certificate_name"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    PASSWORD_FILE = "password_file"  # noqa: S105 - a word, no password
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    NO_DATABASE = "no_database"
    NO_PRIMARY = "no_primary"
    NO_CLUSTER = "no_cluster"
    IS_CLUSTER = "is_cluster"
    CLUSTER_DOWN = "cluster_down"
    LOADING = "loading"
    READONLY = "readonly"
    OUT_OF_MEMORY = "out_of_memory"
    DISK = "disk"
    NO_REPLICAS = "no_replicas"
    BUSY = "busy"
    MAX_CLIENTS = "max_clients"
    PROTOCOL = "protocol"
    OTHER = "other"


class PasswordUnreadable(OSError):
    """The file that holds the store's password can't be read."""


class NoPrimary(ConnectionError):
    """No Sentinel names a primary. ``reason`` tells why they could not be asked, if that is so."""

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason = reason or Reason.NO_PRIMARY


#: Error replies by their code, or by words where Redis has no code. Redis 6 puts a script's error
#: inside a message of its own, so they may be anywhere in the text.
_REPLIES: Final = (
    (Reason.AUTH, "NOAUTH", "WRONGPASS", "AUTH <password> called without any password configured"),
    (Reason.AUTH, "invalid password", "DENIED"),
    (Reason.FORBIDDEN, "NOPERM"),
    (Reason.NO_DATABASE, "DB index is out of range", "SELECT is not allowed in cluster mode"),
    (Reason.NO_CLUSTER, "cluster support disabled"),
    (Reason.IS_CLUSTER, "MOVED"),
    (Reason.CLUSTER_DOWN, "CLUSTERDOWN"),
    (Reason.LOADING, "LOADING"),
    (Reason.READONLY, "READONLY", "MASTERDOWN"),
    (Reason.OUT_OF_MEMORY, "OOM"),
    (Reason.DISK, "MISCONF"),
    (Reason.NO_REPLICAS, "NOREPLICAS"),
    (Reason.BUSY, "BUSY", "UNKILLABLE"),
    (Reason.MAX_CLIENTS, "max number of clients"),
    (Reason.PROTOCOL, "Protocol error"),
)
_BY_WORDS: Final = {words: reason for reason, *all_words in _REPLIES for words in all_words}
_WORDS: Final = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, _BY_WORDS))})(?!\w)")
_BY_NUMBER: Final = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ENOENT: Reason.REFUSED,  # no such unix socket
    errno.EACCES: Reason.FORBIDDEN,  # a unix socket of another user
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.UNREACHABLE,
    errno.ETIMEDOUT: Reason.TIMEOUT,
}
#: By OpenSSL's numbers (x509_vfy.h): 9: not yet valid, 62 and 64: another name or address.
_BY_VERIFICATION: Final = {
    9: Reason.CERTIFICATE_EXPIRED,
    10: Reason.CERTIFICATE_EXPIRED,
    62: Reason.CERTIFICATE_NAME,
    64: Reason.CERTIFICATE_NAME,
}
#: Several addresses of one host failed: asyncio puts all their errors into one text.
_NUMBERS: Final = re.compile(r"\[Errno (\d+)\]")


def reason_of(error: Exception) -> Reason:
    """Return why a connection could not be made, or a round trip not be completed."""
    if isinstance(error, WireBroken) and isinstance(error.__cause__, Exception):
        is_foreign = isinstance(error.__cause__, WireBroken)
        return Reason.PROTOCOL if is_foreign else reason_of(error.__cause__)
    if isinstance(error, ReplyError):
        return reason_of_reply(str(error)) or Reason.OTHER
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFICATION.get(error.verify_code, Reason.CERTIFICATE_UNTRUSTED)
    if isinstance(error, NoPrimary):
        return error.reason
    for kind, reason in (
        (PasswordUnreadable, Reason.PASSWORD_FILE),
        (ssl.SSLError, Reason.TLS),
        (gaierror, Reason.DNS),
    ):
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError):
        numbers = [error.errno] if error.errno else map(int, _NUMBERS.findall(str(error)))
        for number in numbers:
            if number in _BY_NUMBER:
                return _BY_NUMBER[number]
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    return Reason.CLOSED if isinstance(error, ConnectionError) else Reason.OTHER


def reason_behind(error: BaseException | None) -> Reason | None:
    """Return what is wrong with TLS if that is behind an error of redis-py, which wraps others."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return reason_of(error)
        error = error.__cause__ or error.__context__
    return None


def reason_of_reply(text: str) -> Reason | None:
    """Return why the server refuses; None if the error is about one command or its data."""
    found = _WORDS.search(text)
    return _BY_WORDS[found[0]] if found else None
