"""Cross-origin requests, as the settings of Envoy's filter for them."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.http_route import CorsPolicy
from .protobuf import string_match, typed, whole_seconds

FILTER: Final = "envoy.filters.http.cors"
_MESSAGE: Final = "envoy.extensions.filters.http.cors.v3.CorsPolicy"


def cors_filter(policy: CorsPolicy) -> dict[str, Any]:
    """Return a route's settings: preflights of other origins go on to the pods, or are dropped."""
    lists = {
        "allow_methods": policy.allow_methods,
        "allow_headers": policy.allow_headers,
        "expose_headers": policy.expose_headers,
    }
    return typed(
        _MESSAGE,
        filter_enabled={"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        forward_not_matching_preflights=policy.unmatched_preflights != "IGNORE",
        allow_origin_string_match=[string_match(each) for each in policy.allow_origins],
        **{name: ",".join(values) for name, values in lists.items() if values},
        **({"max_age": str(whole_seconds(policy.max_age))} if policy.max_age else {}),
        **(
            {}
            if policy.allow_credentials is None
            else {"allow_credentials": policy.allow_credentials}
        ),
    )
