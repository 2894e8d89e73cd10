"""A certificate for the rehearsal's gateway, made on the spot by the program ``openssl``."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..envoy.configuration import CertificateFiles
from .errors import RehearsalFailed

_CURVE: Final = "ec_paramgen_curve:prime256v1"


async def make_certificate(directory: Path, names: Iterable[str]) -> CertificateFiles | None:
    """Write a self-signed certificate for some DNS names and its key; return the files.

    Return None without ``openssl``; raise RehearsalFailed if it fails.
    """
    program = shutil.which("openssl")
    if program is None:
        return None
    files = CertificateFiles(str(directory / "gateway.pem"), str(directory / "gateway.key"))
    listed = ",".join(f"DNS:{each}" for each in dict.fromkeys(names) if each != "*")
    process = await asyncio.create_subprocess_exec(
        *(program, "req", "-x509", "-newkey", "ec", "-pkeyopt", _CURVE, "-nodes", "-days", "2"),
        *("-subj", "/CN=tallykv rehearsal", "-addext", f"subjectAltName={listed}"),
        *("-keyout", files.key, "-out", files.chain),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        raise RehearsalFailed(f"openssl made no certificate: {said.decode(errors='replace')}")
    return files
