"""Certificates and signed tokens (JWT), made on the spot by the program ``openssl``."""

from __future__ import annotations

import atexit
import base64
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rollout.envoy.configuration import CertificateFiles


def need_openssl() -> str:
    """Return the program; if it is missing, skip the test and name the package."""
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("needs the program openssl (Debian: apt-get install openssl)")
    return found


@cache
def example_certificate() -> CertificateFiles:
    """Return the files of a self-signed certificate, the same for all tests of a process."""
    directory = _directory()
    files = CertificateFiles(str(directory / "a.pem"), str(directory / "a.key"))
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=example", "-keyout", files.key, "-out", files.chain),
    )
    return files


@dataclass(frozen=True)
class Issuer:
    """Signs tokens with a key of its own; ``jwks`` has the other half."""

    name: str
    key: Path
    jwks: str

    @classmethod
    def named(cls, name: str) -> Issuer:
        key = _directory() / "key.pem"
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
        modulus = _openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip()
        number = bytes.fromhex(modulus.removeprefix("Modulus="))
        public = {"kty": "RSA", "alg": "RS256", "n": _encoded(number), "e": "AQAB"}
        return cls(name, key, json.dumps({"keys": [public]}))

    def token(self, **claims: Any) -> str:
        """Return a token with these claims, by default of the subject ``alice``."""
        body = {"iss": self.name, "sub": "alice", "exp": 4_000_000_000, **claims}
        parts = [_encoded(json.dumps(each).encode()) for each in ({"alg": "RS256"}, body)]
        signed = ".".join(parts)
        signature = _openssl("dgst", "-sha256", "-sign", self.key, sent=signed.encode())
        return f"{signed}.{_encoded(signature)}"


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _directory() -> Path:
    """Return a new directory, which is removed when the tests end."""
    directory = tempfile.mkdtemp(prefix="tallykv-tests-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)


def _openssl(*arguments: str | Path, sent: bytes = b"") -> bytes:
    command = [need_openssl(), *arguments]
    return subprocess.run(command, input=sent, check=True, capture_output=True).stdout
