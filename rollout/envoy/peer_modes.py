"""Whether pods accept plaintext, mutual TLS or both: the modes of PeerAuthentications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from ..manifests.security import Mtls, PeerAuthentication
from .age import oldest_first
from .proxy import ROOT_NAMESPACE

Mode = Literal["DISABLE", "PERMISSIVE", "STRICT"]
#: Istio's default: a pod accepts both.
_DEFAULT: Final[Mode] = "PERMISSIVE"


def namespace_mode(namespace: str, peers: Iterable[PeerAuthentication]) -> Mode:
    """Return the mode for all pods of a namespace, else of the mesh."""
    whole = [each for each in oldest_first(peers) if not _labels(each)]
    return _mode(_first(whole, namespace)) or _mode(_first(whole, ROOT_NAMESPACE)) or _DEFAULT


def port_mode(
    namespace: str, labels: Mapping[str, str], port: int, peers: Iterable[PeerAuthentication]
) -> Mode:
    """Return the mode of a port of a pod: the narrowest policy that sets one counts.

    As in istiod, a policy with a selector has no effect in the root namespace.
    """
    peers = tuple(peers)
    selecting = [
        each
        for each in oldest_first(peers)
        if each.namespace == namespace != ROOT_NAMESPACE
        and _labels(each)
        and _labels(each).items() <= labels.items()
    ]
    own = selecting[0] if selecting else None
    ports = own.spec.port_level_mtls if own else {}
    return _set(ports.get(str(port))) or _mode(own) or namespace_mode(namespace, peers)


def _first(policies: Iterable[PeerAuthentication], namespace: str) -> PeerAuthentication | None:
    return next((each for each in policies if each.namespace == namespace), None)


def _labels(policy: PeerAuthentication) -> Mapping[str, str]:
    return policy.spec.selector.match_labels if policy.spec.selector else {}


def _mode(policy: PeerAuthentication | None) -> Mode | None:
    return _set(policy.spec.mtls) if policy else None


def _set(mtls: Mtls | None) -> Mode | None:
    return None if mtls is None or mtls.mode == "UNSET" else mtls.mode
