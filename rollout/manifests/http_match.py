"""The conditions under which a route applies to a request (Istio's HTTPMatchRequest)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from .field_errors import Reason, field_error
from .field_types import Port
from .names import DnsLabel, GatewayName, Labels, is_header_name
from .not_modelled import NotModelled, NotModelledField
from .strict_model import StrictModel
from .string_match import HeaderMatchField, StringMatchField

#: Istio ignores these names among ``headers``: each has a field of its own.
IGNORED_HEADERS: Final = frozenset({"uri", "scheme", "method", "authority"})
_CLAIMS: Final = ("@request.auth.claims.", "@request.auth.claims[")


def is_jwt_claim(header: str) -> bool:
    """Return True if a name among ``headers`` stands for a claim of a verified JWT."""
    return header.startswith(_CLAIMS)


def _check_header(name: str) -> str:
    if not (is_header_name(name) or is_jwt_claim(name)):
        raise field_error(
            Reason.BAD_VALUE,
            f'"{name}" is not the name of a header',
            "use letters, digits, - and _",
        )
    return name


MatchedHeader = Annotated[str, AfterValidator(_check_header)]
_CALLER: Final = "which callers a route applies to isn't checked"

_CLAIM: Final = NotModelled(
    "routing by claims of a JWT",
    "which requests a route applies to isn't checked",
    # A rehearsal translates it.
    changes_requests=False,
)


class HttpMatch(StrictModel):
    """A request must meet all conditions; without conditions, every request matches."""

    name: str | None = None
    uri: StringMatchField = None
    scheme: StringMatchField = None
    method: StringMatchField = None
    authority: StringMatchField = None
    headers: dict[MatchedHeader, HeaderMatchField] = Field(default_factory=dict)
    without_headers: dict[str, HeaderMatchField] = Field(default_factory=dict)
    query_params: dict[str, HeaderMatchField] = Field(default_factory=dict)
    ignore_uri_case: bool = False
    port: Port | None = None
    gateways: tuple[GatewayName, ...] = ()
    source_labels: Annotated[
        Labels, NotModelled("matching the caller's labels", _CALLER, changes_requests=False)
    ] = Field(default_factory=dict)
    source_namespace: Annotated[
        DnsLabel | None,
        NotModelled("matching the caller's namespace", _CALLER, changes_requests=False),
    ] = None
    #: Only names Envoy's statistics.
    stat_prefix: str | None = None

    def not_modelled(self) -> Iterator[NotModelledField]:
        """Yield the conditions that nothing interprets."""
        yield from super().not_modelled()
        if self.jwt_claims:
            yield NotModelledField(self.json_path("headers"), _CLAIM)

    @property
    def jwt_claims(self) -> tuple[str, ...]:
        """Return the names among the headers that stand for claims of a JWT."""
        return tuple(filter(is_jwt_claim, (*self.headers, *self.without_headers)))

    @property
    def selects_callers(self) -> bool:
        """Return True if the match applies only to some callers, or to some verified tokens."""
        return bool(self.source_labels or self.source_namespace or self.jwt_claims)
