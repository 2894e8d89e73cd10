"""How Envoy chooses a pod of a destination (Istio's LoadBalancerSettings)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Duration, DurationOrZero, Unsigned
from .not_modelled import NotModelled
from .strict_model import StrictModel

Algorithm = Literal[
    "UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "PASSTHROUGH", "RANDOM", "ROUND_ROBIN"
]
_CHOICE: Final = "which pod gets a request isn't checked"


def _not_modelled(what: str) -> NotModelled:
    return NotModelled(what, _CHOICE)


class CookieAttribute(StrictModel):
    name: str
    value: str | None = None


class HttpCookie(StrictModel):
    """A cookie without ``ttl`` is a session cookie."""

    name: Annotated[str, Field(min_length=1)]
    path: str | None = None
    ttl: DurationOrZero | None = None
    attributes: tuple[CookieAttribute, ...] = ()


class RingHash(StrictModel):
    #: 0 means Envoy's default.
    minimum_ring_size: Annotated[int, Field(ge=0)] = 0


#: Envoy's limit.
_MAX_TABLE_SIZE: Final = 5_000_010


def _check_table_size(value: int) -> int:
    prime = value > 1 and all(value % each for each in range(2, int(value**0.5) + 1))
    if value > _MAX_TABLE_SIZE or not prime:
        raise field_error(
            Reason.BAD_VALUE,
            f"{value} is not a prime number up to {_MAX_TABLE_SIZE}",
            "use one, such as 65537",
        )
    return value


class Maglev(StrictModel):
    table_size: Annotated[int, AfterValidator(_check_table_size)]


_HASH_KEYS: Final = (
    "http_header_name",
    "http_cookie",
    "use_source_ip",
    "http_query_parameter_name",
)


class ConsistentHash(StrictModel):
    """Sends the same caller to the same pod of a subset. The weights still choose the subset."""

    http_header_name: str | None = None
    http_cookie: HttpCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    minimum_ring_size: Annotated[int, Field(ge=0)] | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None

    @model_validator(mode="after")
    def _check_one_of_each(self) -> ConsistentHash:
        _check_at_most_one(self, _HASH_KEYS, "consistentHash can have only one key")
        _check_at_most_one(
            self, ("ring_hash", "maglev"), "consistentHash can have only one algorithm"
        )
        if self.minimum_ring_size and (self.ring_hash or self.maglev):
            raise field_error(
                Reason.BAD_VALUE,
                "minimumRingSize can't stand beside ringHash or maglev",
                "write ringHash: {minimumRingSize: …}",
            )
        return self


def _check_at_most_one(model: StrictModel, fields: Iterable[str], what: str) -> None:
    if sum(getattr(model, field) is not None for field in fields) > 1:
        raise field_error(Reason.BAD_VALUE, what, "keep one of them")


class Distribution(StrictModel):
    """How the requests from a locality are spread, in percent by locality."""

    from_: str | None = Field(default=None, alias="from")
    to: dict[str, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_sum(self) -> Distribution:
        if (total := sum(self.to.values())) != 100:
            raise field_error(
                Reason.BAD_VALUE, f"the weights sum to {total}", "make them sum to 100", ("to",)
            )
        _check_localities(self.to)
        return self


class Failover(StrictModel):
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None

    @model_validator(mode="after")
    def _check_regions(self) -> Failover:
        regions = [each or "" for each in (self.from_, self.to)]
        if regions[0] == regions[1] or any("/" in each or "*" in each for each in regions):
            raise field_error(
                Reason.BAD_VALUE,
                "a failover leads from one region to another",
                "name two regions, without zones and *",
            )
        return self


_TOPOLOGY: Final = frozenset(
    {
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.istio.io/subzone",
    }
)


class LocalityLoadBalancing(StrictModel):
    distribute: tuple[Distribution, ...] = ()
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None

    @model_validator(mode="after")
    def _check_distribution(self) -> LocalityLoadBalancing:
        if self.distribute and self.failover:
            raise field_error(
                Reason.BAD_VALUE, "distribute and failover exclude each other", "keep one of them"
            )
        if self.failover and _TOPOLOGY.intersection(self.failover_priority):
            raise field_error(
                Reason.BAD_VALUE,
                "failover excludes labels of the topology in failoverPriority",
                "keep one of them",
                ("failoverPriority",),
            )
        _check_localities(each.from_ or "" for each in self.distribute)
        return self


def _check_localities(localities: Iterable[str]) -> None:
    """Raise a field error unless each is ``region/zone/subzone`` or shorter, and none overlap."""
    seen: list[list[str]] = []
    for locality in localities:
        parts = locality.split("/", 2)
        if "" in parts or "*" in locality[:-1]:
            raise field_error(
                Reason.BAD_VALUE,
                f'"{locality}" is not a locality',
                "write region/zone/subzone; * may stand at the end",
            )
        named = [each for each in parts if each != "*"]
        if any(one[: len(other)] == other[: len(one)] for one in seen for other in [named]):
            raise field_error(
                Reason.BAD_VALUE,
                f"the locality {locality} overlaps another one",
                "keep one of them",
            )
        seen.append(named)


class ZoneAwareLoadBalancing(StrictModel):
    enabled: bool | None = None
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: Annotated[Unsigned, Field(ge=1)] | None = None


class Warmup(StrictModel):
    duration: Duration
    minimum_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    aggression: Annotated[float, Field(ge=1)] | None = None


class BackendUtilization(StrictModel):
    """Weights by the load that the pods report."""

    error_utilization_penalty_percent: Unsigned | None = None
    metric_names_for_computing_utilization: tuple[str, ...] = ()
    weight_expiration_period: DurationOrZero | None = None
    weight_stabilization_period: DurationOrZero | None = None
    weight_update_period: DurationOrZero | None = None


class LoadBalancer(StrictModel):
    simple: Annotated[
        Algorithm | None,
        NotModelled(
            "the load balancing algorithm PASSTHROUGH", _CHOICE, frozenset({"PASSTHROUGH"})
        ),
        NotModelled("the deprecated algorithm LEAST_CONN", _CHOICE, frozenset({"LEAST_CONN"})),
    ] = None
    consistent_hash: ConsistentHash | None = None
    backend_utilization: Annotated[
        BackendUtilization | None, _not_modelled("weights by the load of the pods")
    ] = None
    locality_lb_setting: Annotated[
        LocalityLoadBalancing | None, _not_modelled("load balancing by locality")
    ] = None
    zone_aware_lb_setting: Annotated[
        ZoneAwareLoadBalancing | None, _not_modelled("load balancing by zone")
    ] = None
    warmup: Warmup | None = None
    #: Deprecated: ``warmup`` counts before it.
    warmup_duration_secs: DurationOrZero | None = None

    @model_validator(mode="after")
    def _check_one_algorithm(self) -> LoadBalancer:
        _check_at_most_one(
            self,
            ("simple", "consistent_hash", "backend_utilization"),
            "simple, consistentHash and backendUtilization all choose the algorithm",
        )
        return self
