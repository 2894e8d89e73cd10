"""ConfigMaps, Secrets and NetworkPolicies as the API server accepts them. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError
from ...manifests.names import is_subnet
from ...manifests.untyped import mapping_or_empty
from .fields import bad, check_port, check_port_name, check_selector, items_of, missing

_KEY: Final = re.compile(r"(?!\.\.?$)[-._a-zA-Z0-9]{1,253}")
_TLS: Final = "kubernetes.io/tls"


def config_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a ConfigMap or a Secret."""
    texts = "stringData" if document.get("kind") == "Secret" else "binaryData"
    data = mapping_or_empty(document.get("data"))
    others = mapping_or_empty(document.get(texts))
    for field, values in (("data", data), (texts, others)):
        for key in values:
            if not _KEY.fullmatch(key):
                yield bad((field, key), f'"{key}" is not a key', "use a-z, A-Z, 0-9, -, _ and .")
    encoded = ("data", data) if document.get("kind") == "Secret" else ("binaryData", others)
    for key, value in encoded[1].items():
        if isinstance(value, str) and not _is_base64(value):
            yield bad((encoded[0], key), "the value is not in base64", "encode it, or use a text")
    if document.get("kind") == "ConfigMap":
        for key in data.keys() & others.keys():
            yield bad(("binaryData", key), "data has the same key", "remove one of them")
    elif document.get("type") == _TLS:
        for key in ("tls.crt", "tls.key"):
            if key not in data and key not in others:
                yield missing(("data", key), f"a Secret of type {_TLS} needs it", "add it")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def network_policy_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a NetworkPolicy."""
    spec = mapping_or_empty(document.get("spec"))
    yield from check_selector(spec.get("podSelector"), ("spec", "podSelector"))
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for at, rule in items_of(spec.get(side), ("spec", side)):
            for below, port in items_of(rule.get("ports"), (*at, "ports")):
                yield from check_port(port.get("port"), (*below, "port"))
                yield from check_port_name(port.get("port"), (*below, "port"))
                first, last = port.get("port"), port.get("endPort")
                if last is not None and not (isinstance(first, int) and first <= last):
                    yield bad((*below, "endPort"), "it must be at least the port", "correct it")
            for below, peer in items_of(rule.get(peers), (*at, peers)):
                block = mapping_or_empty(peer.get("ipBlock"))
                cidr = block.get("cidr")
                if isinstance(cidr, str) and not ("/" in cidr and is_subnet(cidr)):
                    yield bad((*below, "ipBlock", "cidr"), f'"{cidr}" is no range', "write one")
                if block and len(peer) > 1:
                    yield bad((*below, "ipBlock"), "ipBlock excludes selectors", "keep one of them")
                for name in ("podSelector", "namespaceSelector"):
                    yield from check_selector(peer.get(name), (*below, name))
