"""The file of assertions: what it may say, and where in it a mistake is. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..manifests.field_types import parse_duration
from ..manifests.json_path import render_path
from .requests import INGRESS, Caller, Request

Percent = Annotated[float, Field(ge=0, le=100)]
#: 0 if the connection is refused or closed.
Status = Annotated[int, Field(ge=0, le=599)]
_NONE: Final = "none"
#: Sums of percentages may differ from 100 by the rounding of three thirds.
_ROUNDING: Final = 0.2


class AssertionsInvalid(Exception):
    """A file of assertions has mistakes; the message has a line for each."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class CallerSpec(_Model):
    """A pod inside the mesh by its namespace, labels and service account, or a Gateway's client."""

    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    account: str = "default"
    gateway: str = ""

    @model_validator(mode="after")
    def _check_one(self) -> CallerSpec:
        if bool(self.namespace) == bool(self.gateway):
            raise ValueError("name a namespace, or a gateway as namespace/name")
        return self

    @property
    def caller(self) -> Caller:
        labels = tuple(sorted(self.labels.items()))
        return Caller(self.namespace, labels, self.account, self.gateway)


class TokenSpec(_Model):
    """A token (JWT) that is made and signed for the test."""

    issuer: str
    subject: str = "test"
    audience: str | list[str] = ""
    claims: dict[str, Any] = Field(default_factory=dict)
    #: Signed with another key, or expired: both are refused with 401.
    forged: bool = False
    expired: bool = False


class RetriesSpec(_Model):
    """How often a request is sent again while pods answer with ``after``."""

    attempts: Annotated[int, Field(ge=0)]
    after: Status = 503


class PodSpec(_Model):
    """What a pod gets; a header that is null must not be there."""

    path: str | None = None
    host: str | None = None
    headers: dict[str, str | None] = Field(default_factory=dict)


class ResponseSpec(_Model):
    """What the caller gets; a header that is null must not be there."""

    headers: dict[str, str | None] = Field(default_factory=dict)


class Assertion(_Model):
    """A request, and what the mesh must do with it."""

    request: str
    name: str = ""
    from_: Annotated[str | CallerSpec | None, Field(alias="from")] = None
    headers: dict[str, str] = Field(default_factory=dict)
    token: TokenSpec | None = None
    #: The steps at which it holds; empty is all of them.
    at: str | list[str] = Field(default_factory=list)
    to: str | dict[str, Percent] | None = None
    #: The distance in percentage points that shares are told apart by.
    within: Annotated[float, Field(gt=0, le=50)] | None = None
    status: Status | dict[str, Percent] | None = None
    pod: PodSpec | None = None
    response: ResponseSpec | None = None
    #: Of the request, and of each attempt: ``7s``, or ``none``.
    timeout: str | None = None
    try_timeout: Annotated[str | None, Field(alias="tryTimeout")] = None
    retries: Annotated[int, Field(ge=0)] | RetriesSpec | None = None
    mirror: str | dict[str, Percent] | None = None

    @field_validator("at", mode="before")
    @classmethod
    def _text_steps(cls, value: Any) -> Any:
        """Take the number of a step for its name."""
        steps = value if isinstance(value, list) else [value]
        return [str(each) if isinstance(each, int) else each for each in steps]

    @field_validator("request")
    @classmethod
    def _check_request(cls, value: str) -> str:
        Request.parse(value)
        return value

    @field_validator("timeout", "try_timeout")
    @classmethod
    def _check_timeout(cls, value: str | None) -> str | None:
        if value not in {None, _NONE}:
            parse_duration(value)
        return value

    @field_validator("to")
    @classmethod
    def _check_sum(cls, value: Any) -> Any:
        if isinstance(value, dict) and abs(sum(value.values()) - 100) > _ROUNDING:
            raise ValueError(f"the shares sum to {sum(value.values()):g}, and not to 100")
        return value

    @model_validator(mode="after")
    def _check_expectation(self) -> Assertion:
        if not any(getattr(self, each) is not None for each in _EXPECTATIONS):
            raise ValueError(f"it expects nothing: add one of {_LISTED}")
        return self

    @property
    def sent(self) -> Request:
        """Return the request without its token."""
        return Request.parse(self.request, tuple(self.headers.items()))

    @property
    def shares(self) -> Mapping[str, float]:
        """Return the percentage of each destination, empty if none is expected."""
        return {self.to: 100.0} if isinstance(self.to, str) else self.to or {}

    @property
    def copies(self) -> Mapping[str, float]:
        """Return the percentage of requests that each mirror gets."""
        if isinstance(self.mirror, str):
            return {} if self.mirror == _NONE else {self.mirror: 100.0}
        return self.mirror or {}

    @property
    def timeouts(self) -> Mapping[str, float]:
        """Return the expected timeouts in seconds by their names in the file; 0 is none."""
        named = {"timeout": self.timeout, "tryTimeout": self.try_timeout}
        return {
            name: 0.0 if each == _NONE else parse_duration(each).total_seconds()
            for name, each in named.items()
            if each is not None
        }

    def holds_at(self, step: str) -> bool:
        """Return True if it is about a step: ``10`` is the directory ``10`` or ``010``."""
        named = [each.lstrip("0") or "0" for each in self.at]
        return not named or not step or (step.lstrip("0") or "0") in named


_EXPECTATIONS: Final = (
    "to",
    "status",
    "pod",
    "response",
    "timeout",
    "try_timeout",
    "retries",
    "mirror",
)


_LISTED: Final = "to, status, pod, response, timeout, tryTimeout, retries, mirror"


class AssertionFile(_Model):
    """A file of assertions. Paths are relative to it."""

    #: What is under test: files and directories; by default the directory of the file.
    manifests: str | list[str] = Field(default_factory=lambda: ["."])
    #: What is in the cluster already.
    given: str | list[str] = Field(default_factory=list)
    #: Directories that are applied one after the other, or one that has them.
    steps: str | list[str] = Field(default_factory=list)
    namespace: str = "default"
    from_: Annotated[str | CallerSpec, Field(alias="from")] = "ingress"
    tests: Annotated[list[Assertion], Field(min_length=1)]

    def caller_of(self, assertion: Assertion) -> Caller:
        """Return who sends a request."""
        return parse_caller(self.from_ if assertion.from_ is None else assertion.from_)


def paths(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def parse_caller(value: str | CallerSpec) -> Caller:
    """Return a caller: ``ingress``, ``namespace`` or ``namespace/account``, or a mapping."""
    if isinstance(value, CallerSpec):
        return value.caller
    if value == "ingress":
        return INGRESS
    namespace, _, account = value.partition("/")
    return Caller(namespace, account=account or "default")


class HasLines(Protocol):
    """A YAML document."""

    def line_of(self, path: str) -> int:
        """Return the line of a JSON path."""


def parse_assertions(value: Any, file: str, lines: HasLines) -> AssertionFile:
    """Validate the value of a YAML document; raise AssertionsInvalid, a line for each mistake."""
    if not isinstance(value, dict):
        raise AssertionsInvalid(f"{file}:1: a file of assertions is a mapping with the key tests")
    try:
        return AssertionFile.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        found = dict.fromkeys(_mistakes(error, value, file, lines))
        raise AssertionsInvalid("\n".join(found)) from None


def _mistakes(error: ValidationError, value: Any, file: str, lines: HasLines) -> list[str]:
    found = []
    for each in error.errors(include_url=False):
        place = _place(each["loc"], value)
        path = render_path(place)
        what = each["msg"].removeprefix("Value error, ")
        context = each.get("ctx") or {}
        if "remedy" in context:
            what = f"{context['what']}; {context['remedy']}"
        if each["type"] == "extra_forbidden":
            what = f"there is no field {each['loc'][-1]}"
        found.append(f"{file}:{lines.line_of(path)}: {path or 'the file'}: {what}")
    return found


def _place(loc: tuple[int | str, ...], value: Any) -> tuple[int | str, ...]:
    """Return the part of a location that the file has: pydantic adds the names of types."""
    place: list[int | str] = []
    for each in loc:
        listed = isinstance(value, list) and isinstance(each, int) and each < len(value)
        if listed or (isinstance(value, dict) and each in value):
            value = value[each]
            place.append(each)
    return tuple(place)


def json_schema() -> dict[str, Any]:
    """Return the schema of the file, for editors."""
    schema = AssertionFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
