"""The resource attributes of every span and every log line."""

from __future__ import annotations

from typing import Any, Final

import pytest

from svc import __version__
from tests.support.instrumented_service import traceparent
from tests.support.otlp import Collector
from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.svc.telemetry.process_log import logged_process

LOGGED: Final = ("service.name", "service.version", "service.instance.id", "track")


def resource_and_log(
    redis: RedisServer, collector: Collector, **environ: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run a process. Return the resource of its spans, and its log lines."""
    with logged_process(
        KV_STORE_URL=redis.url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **environ
    ) as service:
        sent = traceparent(1)["traceparent"]
        fetch(f"{service.base}/v1/kv/none", traceparent=sent)
        assert service.end() == 0
    resources = [span.resource for span in collector.spans]
    assert resources
    assert all(resource == resources[0] for resource in resources)
    return resources[0], service.lines


def test_by_default_it_is_tallykv_of_the_packages_version(
    shared_redis: RedisServer, collector: Collector
) -> None:
    resource, _ = resource_and_log(shared_redis, collector, KV_POD="pod-1")

    assert resource["service.name"] == "tallykv"
    assert resource["service.version"] == __version__
    assert resource["service.instance.id"] == "pod-1"
    assert resource["track"] == "stable"


def test_the_release_is_what_its_settings_say(
    shared_redis: RedisServer, collector: Collector
) -> None:
    resource, _ = resource_and_log(
        shared_redis, collector, KV_VERSION="2.0.0", KV_TRACK="canary", KV_POD="kv-canary-0"
    )

    assert [resource[name] for name in LOGGED] == ["tallykv", "2.0.0", "kv-canary-0", "canary"]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OTEL_SERVICE_NAME": "shop-kv"}, "shop-kv"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop-kv"}, "shop-kv"),
        (
            {"OTEL_SERVICE_NAME": "wins", "OTEL_RESOURCE_ATTRIBUTES": "service.name=loses"},
            "wins",
        ),
    ],
)
def test_another_name_and_more_can_be_given(
    shared_redis: RedisServer, collector: Collector, environ: dict[str, str], name: str
) -> None:
    more = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    attributes = f"{more},deployment.environment.name=test".strip(",")

    resource, _ = resource_and_log(
        shared_redis, collector, **{**environ, "OTEL_RESOURCE_ATTRIBUTES": attributes}
    )

    assert resource["service.name"] == name
    assert resource["deployment.environment.name"] == "test"
    assert resource["track"] == "stable"


def test_the_log_has_the_same_resource_as_the_spans(
    shared_redis: RedisServer, collector: Collector
) -> None:
    resource, lines = resource_and_log(
        shared_redis, collector, OTEL_SERVICE_NAME="shop-kv", KV_VERSION="2.0.0", KV_POD="pod-1"
    )

    expected = {name: resource[name] for name in LOGGED}
    assert len(lines) >= 3
    for line in lines:
        assert {name: line[name] for name in LOGGED} == expected
