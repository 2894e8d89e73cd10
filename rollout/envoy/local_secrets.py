"""Certificates from files in place of those that Istio's agent gives a proxy (SDS)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .configuration import CertificateFiles, Resource

_CERTIFICATES: Final = "tls_certificate_sds_secret_configs"
_TRUST: Final = "combined_validation_context"


def with_files(socket: Resource, files: Mapping[str, CertificateFiles]) -> dict[str, Any]:
    """Return a transport socket of TLS with the files of its secrets, by their names.

    The names in the other side's certificate are not compared.
    """
    config = socket["typed_config"]
    context = dict(config["common_tls_context"])
    certificates = [files[each] for each in certificate_names(socket)]
    context.pop(_CERTIFICATES, None)
    if certificates:
        context["tls_certificates"] = [
            {
                "certificate_chain": {"filename": each.chain},
                "private_key": {"filename": each.key},
            }
            for each in certificates
        ]
    if trusted := trust_name(socket):
        del context[_TRUST]
        context["validation_context"] = {"trusted_ca": {"filename": files[trusted].chain}}
    return {**socket, "typed_config": {**config, "common_tls_context": context}}


def certificate_names(socket: Resource) -> tuple[str, ...]:
    """Return the names of the secrets with a socket's own certificates."""
    context = socket["typed_config"].get("common_tls_context", {})
    return tuple(each["name"] for each in context.get(_CERTIFICATES, ()))


def trust_name(socket: Resource) -> str | None:
    """Return the name of the secret that verifies the other side's certificate."""
    context = socket["typed_config"].get("common_tls_context", {})
    found = context.get(_TRUST, {}).get("validation_context_sds_secret_config", {}).get("name")
    return None if found is None else str(found)


def sockets_of(chains: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the transport sockets of filter chains."""
    return (each["transport_socket"] for each in chains if "transport_socket" in each)
