"""Matchers of Envoy's RBAC filter: what an AuthorizationPolicy's values mean.

A value may begin or end with ``*``, and ``*`` alone means any value that is not empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_interface
from typing import Any, Final

from .configuration import Resource
from .protobuf_json import extension

_ANY: Final[Resource] = {"safe_regex": {"regex": ".+"}}
_SPIFFE: Final = "spiffe://"
#: The filter that writes the claims of a token, and the key that it writes them to.
TOKENS: Final = "envoy.filters.http.jwt_authn"
PAYLOAD: Final = "payload"
_TEMPLATE: Final = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"


def text(value: str) -> dict[str, Any]:
    """Return a StringMatcher."""
    if value == "*":
        return {**_ANY}
    if value.startswith("*"):
        return {"suffix": value[1:]}
    if value.endswith("*"):
        return {"prefix": value[:-1]}
    return {"exact": value}


def header(name: str, value: str, *, ignore_case: bool = False) -> Resource:
    """Return a rule on a header, or on a pseudo-header like ``:method``."""
    if value == "*":
        return {"header": {"name": name, "present_match": True}}
    case = {"ignore_case": True} if ignore_case else {}
    return {"header": {"name": name, "string_match": {**text(value), **case}}}


def path(value: str) -> Resource:
    """Return a rule on the path without the query: ``{*}`` is one segment, ``{**}`` any number."""
    if "{*}" in value or "{**}" in value:
        template = value.replace("{*}", "*").replace("{**}", "**")
        return {"uri_template": extension("uri-template", _TEMPLATE, path_template=template)}
    return {"url_path": {"path": text(value)}}


def addresses(value: str) -> Resource:
    """Return a CidrRange for an address or a range of addresses."""
    found = ip_interface(value)
    return {"address_prefix": str(found.ip), "prefix_len": found.network.prefixlen}


def principal(value: str) -> Resource:
    """Return a principal of a caller's certificate, written as ``cluster.local/ns/a/sa/b``."""
    if value == "*":
        return _authenticated(_ANY)
    if value.startswith("*"):
        # As in istiod: what follows the star is part of a regular expression.
        return _authenticated({"safe_regex": {"regex": f"{_SPIFFE}.*{value[1:]}"}})
    return _authenticated(text(f"{_SPIFFE}{value}"))


def namespace(value: str) -> Resource:
    """Return a principal of any account of a namespace."""
    return _matching(f".*/ns/{value.replace('*', '.*')}/.*")


def trust_domain(value: str) -> Resource:
    """Return a principal of any account of a trust domain."""
    return _matching(f"{_SPIFFE}{value.replace('*', '.*')}/.*")


def service_account(value: str, owner: str) -> Resource:
    """Return a principal of ``name``, in the namespace ``owner``, or of ``namespace/name``."""
    of, slash, name = value.rpartition("/")
    return _matching(f"{_SPIFFE}.+/ns/{of if slash else owner}/(.+/|)sa/{name}(/.+)?")


def claim(keys: Iterable[str], values: Iterable[str]) -> Resource:
    """Return a principal of a verified token: a claim, or one of its list, has one of the values.

    ``keys`` lead to a nested claim.
    """
    texts = [{"string_match": text(each)} for each in values]
    # Envoy's or_match has at least two parts.
    wanted = {"or_match": {"value_matchers": texts}} if len(texts) > 1 else texts[0]
    listed = {"list_match": {"one_of": wanted}}
    return _metadata(TOKENS, (PAYLOAD, *keys), {"or_match": {"value_matchers": [listed, wanted]}})


def request_principal(value: str) -> Resource:
    """Return a principal of a verified token, ``issuer/subject``; an issuer may have slashes."""
    issuer, slash, subject = value.rpartition("/")
    parts: tuple[Resource, Resource]
    if value == "*":
        parts = (_ANY, _ANY)
    elif value.startswith("*") and not slash:
        parts = (_ANY, {"suffix": value[1:]})
    elif value.startswith("*"):
        parts = (_ANY if issuer == "*" else {"suffix": issuer[1:]}, {"exact": subject})
    elif value.endswith("*") and not slash:
        parts = ({"prefix": value[:-1]}, _ANY)
    elif value.endswith("*"):
        parts = ({"exact": issuer}, _ANY if subject == "*" else {"prefix": subject[:-1]})
    else:
        parts = ({"exact": issuer if slash else value}, {"exact": subject if slash else ""})
    matched = zip(("iss", "sub"), parts, strict=True)
    ids = [_metadata(TOKENS, (PAYLOAD, key), {"string_match": each}) for key, each in matched]
    return {"and_ids": {"ids": ids}}


def filter_metadata(filter_name: str, key: str, value: str) -> Resource:
    """Return a rule on what a filter wrote; a value in brackets is one of a list."""
    if value.startswith("[") and value.endswith("]"):
        one = {"string_match": text(value.strip("[]"))}
        return _metadata(filter_name, (key,), {"list_match": {"one_of": one}})
    return _metadata(filter_name, (key,), {"string_match": text(value)})


def _authenticated(name: Resource) -> Resource:
    return {"authenticated": {"principal_name": name}}


def _matching(pattern: str) -> Resource:
    return _authenticated({"safe_regex": {"regex": pattern}})


def _metadata(filter_name: str, keys: Iterable[str], value: Resource) -> Resource:
    return {
        "metadata": {
            "filter": filter_name,
            "path": [{"key": each} for each in keys],
            "value": value,
        }
    }
