"""Keys from files in place of those that istiod would fetch from the issuers of tokens. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .applied_manifests import Document
from .errors import KeysUnused


def with_keys(documents: Iterable[Document], keys: Mapping[str, str]) -> tuple[Document, ...]:
    """Return the documents, with keys in the RequestAuthentications that name their issuers.

    ``keys`` has the text of each set of keys (JWKS) by the issuer or by its ``jwksUri``. Raise
    KeysUnused if no rule names one of them.
    """
    found = tuple(
        copy.deepcopy(dict(each)) if _is_authentication(each) else each for each in documents
    )
    unused = set(keys)
    for rule in _rules(found):
        for name in (rule.get("jwksUri"), rule.get("jwks_uri"), rule.get("issuer")):
            if isinstance(name, str) and name in keys and not rule.get("jwks"):
                rule["jwks"] = keys[name]
                rule.pop("jwksUri", None)
                rule.pop("jwks_uri", None)
                unused.discard(name)
    if unused:
        raise KeysUnused(
            f"no RequestAuthentication without keys names {', '.join(sorted(unused))} as its"
            " jwksUri or issuer"
        )
    return found


def _is_authentication(document: Document) -> bool:
    return document.get("kind") == "RequestAuthentication"


def _rules(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for each in filter(_is_authentication, documents):
        rules = (each.get("spec") or {}).get("jwtRules") or ()
        yield from (rule for rule in rules if isinstance(rule, dict))
