"""The rules of an AuthorizationPolicy: from whom, to which operation, under which conditions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .names import Subnet, is_subnet
from .strict_model import StrictModel

_NOT_EMPTY: Final = "add what it selects, or remove it"
#: What Istio accepts in no path that has a template such as ``{*}``.
_NOT_IN_TEMPLATE: Final = re.compile(r"/\{\w+=\*\*?\}|\{\w*\}|/\*\*?|\*\*?/")

Text = Annotated[str, Field(min_length=1)]
Texts = tuple[Text, ...]
Accounts = Annotated[tuple[Annotated[Text, Field(max_length=320)], ...], Field(max_length=16)]


def _check_port(value: str) -> str:
    if not value.isdecimal() or int(value) > 65535:
        raise field_error(
            Reason.BAD_VALUE, f'"{value}" is not a port', "write the number of a port in quotes"
        )
    return value


def _check_path(value: str) -> str:
    if ("{*}" in value or "{**}" in value) and _NOT_IN_TEMPLATE.search(value):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{value}" is not a template of paths',
            "use only {*} for one segment, and {**} for the rest",
        )
    return value


Ports = tuple[Annotated[str, AfterValidator(_check_port)], ...]
Paths = tuple[Annotated[Text, AfterValidator(_check_path)], ...]


class Source(StrictModel):
    principals: Texts = ()
    not_principals: Texts = ()
    request_principals: Texts = ()
    not_request_principals: Texts = ()
    namespaces: Texts = ()
    not_namespaces: Texts = ()
    service_accounts: Accounts = ()
    not_service_accounts: Accounts = ()
    trust_domains: Texts = ()
    not_trust_domains: Texts = ()
    ip_blocks: tuple[Subnet, ...] = ()
    not_ip_blocks: tuple[Subnet, ...] = ()
    remote_ip_blocks: tuple[Subnet, ...] = ()
    not_remote_ip_blocks: tuple[Subnet, ...] = ()

    @model_validator(mode="after")
    def _check_fields(self) -> Source:
        _check_any(self, "the source is empty; Istio rejects it")
        named = self.principals or self.not_principals or self.namespaces or self.not_namespaces
        if named and (self.service_accounts or self.not_service_accounts):
            raise field_error(
                Reason.BAD_VALUE,
                "serviceAccounts excludes principals and namespaces",
                "keep one of them",
                ("serviceAccounts",),
            )
        return self


class Operation(StrictModel):
    hosts: Texts = ()
    not_hosts: Texts = ()
    ports: Ports = ()
    not_ports: Ports = ()
    methods: Texts = ()
    not_methods: Texts = ()
    paths: Paths = ()
    not_paths: Paths = ()

    @model_validator(mode="after")
    def _check_fields(self) -> Operation:
        _check_any(self, "the operation is empty; Istio rejects it")
        return self


def _check_any(model: StrictModel, what: str) -> None:
    if not any(getattr(model, name) for name in type(model).model_fields):
        raise field_error(Reason.MISSING_FIELD, what, _NOT_EMPTY)


def _accept(_: str) -> bool:
    return True


def _is_port(value: str) -> bool:
    return value.isdecimal() and int(value) <= 65535


#: Which values each attribute of a request or a connection can have.
_ATTRIBUTES: Final[dict[str, Callable[[str], bool]]] = {
    "connection.sni": _accept,
    "destination.ip": is_subnet,
    "destination.port": _is_port,
    "remote.ip": is_subnet,
    "request.auth.audiences": _accept,
    "request.auth.presenter": _accept,
    "request.auth.principal": _accept,
    "source.ip": is_subnet,
    "source.namespace": _accept,
    "source.principal": _accept,
    "source.serviceAccount": _accept,
}
#: Attributes with a name in brackets.
_MAPS: Final = ("request.headers", "request.auth.claims", "experimental.envoy.filters.")
_WITH_KEY: Final = re.compile(r"[^\[]+\[.+\]")


class Condition(StrictModel):
    key: Text
    values: Texts = ()
    not_values: Texts = ()

    @model_validator(mode="after")
    def _check_key(self) -> Condition:
        if not (self.values or self.not_values):
            raise field_error(
                Reason.MISSING_FIELD,
                f"the condition on {self.key} has neither values nor notValues",
                "add values",
                ("values",),
            )
        check = _ATTRIBUTES.get(self.key, _accept)
        named = self.key.startswith(_MAPS) and _WITH_KEY.fullmatch(self.key)
        if not named and self.key not in _ATTRIBUTES:
            raise field_error(
                Reason.BAD_VALUE,
                f'there is no attribute "{self.key}"',
                f"use one of {', '.join(_ATTRIBUTES)}, request.headers[NAME], or"
                " request.auth.claims[NAME]",
                ("key",),
            )
        for value in (*self.values, *self.not_values):
            if not check(value):
                raise field_error(
                    Reason.BAD_VALUE,
                    f'"{value}" is not a value of {self.key}',
                    "write a port as a number, an address like 10.0.0.1 or 10.0.0.0/8",
                    ("values" if value in self.values else "notValues",),
                )
        return self


class RuleFrom(StrictModel):
    source: Source


class RuleTo(StrictModel):
    operation: Operation


class AccessRule(StrictModel):
    from_: Annotated[tuple[RuleFrom, ...], Field(max_length=512)] = Field(default=(), alias="from")
    to: tuple[RuleTo, ...] = ()
    when: tuple[Condition, ...] = ()
