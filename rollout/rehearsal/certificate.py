"""Certificates of a rehearsal, made on the spot by the program ``openssl``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..envoy.configuration import CertificateFiles
from ..envoy.local_configuration import GatewaySecrets
from ..envoy.tls_secrets import MESH_TRUST, OWN
from ..manifests.hosts import overlap
from .errors import RehearsalFailed
from .executables import find_openssl

_CURVE: Final = "ec_paramgen_curve:prime256v1"


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of each secret; clients trust ``gateway`` and show ``client`` where one is asked.

    Without a port that decrypts, ``gateway`` is None; without one that asks for a certificate,
    ``client`` is None.
    """

    by_secret: Mapping[str, CertificateFiles] = field(default_factory=dict)
    gateway: str | None = None
    client: CertificateFiles | None = None


async def make_certificates(
    directory: Path, gateway: GatewaySecrets, caller: str, pods: Iterable[str], names: Iterable[str]
) -> Certificates:
    """Make what a gateway's listeners need, and what a caller and pods need in mutual TLS.

    ``caller`` and ``pods`` are SPIFFE IDs; without pods there is no mutual TLS. ``names`` are the
    hosts that clients ask for: a server's host may be a wildcard that no client accepts. Raise
    ProgramMissing without ``openssl``, RehearsalFailed if it fails.
    """
    maker = _Maker(directory)
    pods, names = tuple(pods), tuple(names)
    secrets = await maker.make(
        {
            secret: (
                *hosts,
                *(each for each in names if any(overlap(each, host) for host in hosts)),
            )
            for secret, hosts in gateway.hosts.items()
        }
    )
    trusted = maker.joined("gateway.pem", secrets.values()) if secrets else None
    client = None
    if gateway.trusted:
        client = (await maker.make({"client": ["client.rehearsal"]}))["client"]
        secrets |= dict.fromkeys(gateway.trusted, client)
    if pods:
        mesh = await maker.make({OWN: [caller], **{each: [each] for each in pods}})
        shown = [*mesh.values(), *([client] if client and MESH_TRUST in gateway.trusted else [])]
        secrets = {**mesh, **secrets}
        secrets[MESH_TRUST] = CertificateFiles(maker.joined("mesh.pem", shown))
    return Certificates(secrets, trusted, client)


class _Maker:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = itertools.count()

    async def make(self, names: Mapping[str, Iterable[str]]) -> dict[str, CertificateFiles]:
        """Make a self-signed certificate for the names of each key, all at once."""
        made = await asyncio.gather(*(self._make(each) for each in names.values()))
        return dict(zip(names, made, strict=True))

    def joined(self, file: str, certificates: Iterable[CertificateFiles]) -> str:
        """Write several certificates to one file; return its path."""
        path = self._directory / file
        path.write_text("".join(Path(each.chain).read_text("ascii") for each in certificates))
        return str(path)

    async def _make(self, names: Iterable[str]) -> CertificateFiles:
        number = next(self._number)
        stem = self._directory / f"certificate-{number}"
        files = CertificateFiles(f"{stem}.pem", f"{stem}.key")
        listed = ",".join(
            f"{'URI' if '://' in each else 'DNS'}:{each}"
            for each in dict.fromkeys(names)
            if each != "*"
        )
        process = await asyncio.create_subprocess_exec(
            *(find_openssl(), "req", "-x509", "-newkey", "ec", "-pkeyopt", _CURVE, "-nodes"),
            # Each has a subject of its own: a verifier looks for the signer by its subject.
            *("-days", "2", "-subj", f"/CN=tallykv rehearsal {number}"),
            *("-addext", f"subjectAltName={listed}", "-keyout", files.key, "-out", files.chain),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode:
            raise RehearsalFailed(f"openssl made no certificate: {said.decode(errors='replace')}")
        return files
