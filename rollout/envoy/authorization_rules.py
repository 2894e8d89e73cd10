"""A rule of an AuthorizationPolicy as a policy of Envoy's RBAC filter, as istiod builds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, NamedTuple

from ..manifests.authorization_rules import AccessRule, Condition, Operation, Source
from . import authorization_matchers as matchers
from .configuration import Resource

Build = Callable[[str], Resource]
_NAMES: Final = re.compile(r"\[([^\]]*)\]")
_FILTERS: Final = "experimental."


class _Words(NamedTuple):
    """The fields that combine permissions, or principals."""

    both: str
    either: str
    list: str
    negated: str


_PERMISSIONS: Final = _Words("and_rules", "or_rules", "rules", "not_rule")
_PRINCIPALS: Final = _Words("and_ids", "or_ids", "ids", "not_id")
#: Matches no request.
NEVER: Final = {
    "permissions": [{"not_rule": {"any": True}}],
    "principals": [{"not_id": {"any": True}}],
}


def rbac_policy(rule: AccessRule, owner: str) -> Resource:
    """Return the policy of a rule; ``owner`` is the namespace of its AuthorizationPolicy."""
    conditions = [_condition(each, owner) for each in rule.when]
    operations, identities = (
        [one for words, parts in conditions if words is wanted for one in parts]
        for wanted in (_PERMISSIONS, _PRINCIPALS)
    )
    to = [_operation(each.operation) for each in rule.to] or [[]]
    sources = [_source(each.source, owner) for each in rule.from_] or [[]]
    return {
        "permissions": [_both(_PERMISSIONS, [*each, *operations]) for each in to],
        "principals": [_both(_PRINCIPALS, [*each, *identities]) for each in sources],
    }


def _operation(operation: Operation) -> list[Resource]:
    checks: tuple[tuple[Build, Iterable[str], Iterable[str]], ...] = (
        (
            partial(matchers.header, ":authority", ignore_case=True),
            operation.hosts,
            operation.not_hosts,
        ),
        (partial(matchers.header, ":method"), operation.methods, operation.not_methods),
        (matchers.path, operation.paths, operation.not_paths),
        (_port, operation.ports, operation.not_ports),
    )
    return [one for check in checks for one in _checks(_PERMISSIONS, *check)]


def _source(source: Source, owner: str) -> list[Resource]:
    account = partial(matchers.service_account, owner=owner)
    checks: tuple[tuple[Build, Iterable[str], Iterable[str]], ...] = (
        (matchers.trust_domain, source.trust_domains, source.not_trust_domains),
        (account, source.service_accounts, source.not_service_accounts),
        (matchers.principal, source.principals, source.not_principals),
        (
            matchers.request_principal,
            source.request_principals,
            source.not_request_principals,
        ),
        (matchers.namespace, source.namespaces, source.not_namespaces),
        (_forwarded, source.remote_ip_blocks, source.not_remote_ip_blocks),
        (_connected, source.ip_blocks, source.not_ip_blocks),
    )
    return [one for check in checks for one in _checks(_PRINCIPALS, *check)]


def _condition(condition: Condition, owner: str) -> tuple[_Words, list[Resource]]:
    key = condition.key
    values = (condition.values, condition.not_values)
    if build := _PLAIN_PERMISSIONS.get(key):
        return _PERMISSIONS, [*_checks(_PERMISSIONS, build, *values)]
    if key.startswith(_FILTERS):
        name, _, rest = key.removeprefix(_FILTERS).partition("[")
        written = partial(matchers.filter_metadata, name, rest.removesuffix("]"))
        return _PERMISSIONS, [*_checks(_PERMISSIONS, written, *values)]
    if claims := _claims(key):
        return _PRINCIPALS, [*_claim_checks(claims, *values)]
    if key == "source.serviceAccount":
        account = partial(matchers.service_account, owner=owner)
        return _PRINCIPALS, [*_checks(_PRINCIPALS, account, *values)]
    if build := _PLAIN_PRINCIPALS.get(key):
        return _PRINCIPALS, [*_checks(_PRINCIPALS, build, *values)]
    [name] = _NAMES.findall(key)[:1]
    return _PRINCIPALS, [*_checks(_PRINCIPALS, partial(matchers.header, name), *values)]


def _claims(key: str) -> list[str]:
    """Return the names of the claim that a key means, empty if it means none."""
    if key.startswith("request.auth.claims["):
        return _NAMES.findall(key)
    return {"request.auth.audiences": ["aud"], "request.auth.presenter": ["azp"]}.get(key, [])


def _claim_checks(
    keys: list[str], values: tuple[str, ...], not_values: tuple[str, ...]
) -> Iterator[Resource]:
    if values:
        yield matchers.claim(keys, values)
    if not_values:
        yield {"not_id": matchers.claim(keys, not_values)}


def _checks(
    words: _Words, build: Build, values: Iterable[str], not_values: Iterable[str]
) -> Iterator[Resource]:
    """Yield what demands one of the values, and what forbids each of the others."""
    if wanted := [build(each) for each in values]:
        yield {words.either: {words.list: wanted}}
    if refused := [build(each) for each in not_values]:
        yield {words.negated: {words.either: {words.list: refused}}}


def _both(words: _Words, parts: list[Resource]) -> Resource:
    return {words.both: {words.list: parts or [{"any": True}]}}


def _port(value: str) -> Resource:
    return {"destination_port": int(value)}


def _forwarded(value: str) -> Resource:
    return {"remote_ip": matchers.addresses(value)}


def _connected(value: str) -> Resource:
    return {"direct_remote_ip": matchers.addresses(value)}


_PLAIN_PERMISSIONS: Final[dict[str, Build]] = {
    "connection.sni": lambda value: {"requested_server_name": matchers.text(value)},
    "destination.ip": lambda value: {"destination_ip": matchers.addresses(value)},
    "destination.port": _port,
}
_PLAIN_PRINCIPALS: Final[dict[str, Build]] = {
    "remote.ip": _forwarded,
    "request.auth.principal": matchers.request_principal,
    "source.ip": _connected,
    "source.namespace": matchers.namespace,
    "source.principal": matchers.principal,
}
