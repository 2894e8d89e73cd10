"""Certificates that Envoy asks Istio's agent for (SDS), by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

#: The proxy's own certificate, and the certificates that the mesh trusts.
OWN: Final = "default"
MESH_TRUST: Final = "ROOTCA"


def secret(name: str) -> dict[str, Any]:
    """Return an SdsSecretConfig: ``default`` is the pod's own certificate, ``ROOTCA`` the mesh's.

    ``kubernetes://name`` is a Secret, ``file-cert:`` and ``file-root:`` are files of the pod.
    """
    return {"name": name, "sds_config": {"ads": {}, "resource_api_version": "V3"}}


def validation(name: str, names: Iterable[str] = ()) -> dict[str, Any]:
    """Return the validation of the other side's certificate: who signs it, for which names."""
    matchers = [{"exact": each} for each in names]
    return {
        "combined_validation_context": {
            "default_validation_context": {"match_subject_alt_names": matchers} if matchers else {},
            "validation_context_sds_secret_config": secret(name),
        }
    }
