"""A container's environment variables, as they are in its pod."""

from __future__ import annotations

from typing import Any

import pytest

from rollout.rehearsal.container_environment import (
    ConfigMaps,
    PodIdentity,
    SecretKey,
    read_environment,
)

POD = PodIdentity(
    name="kv-stable-0",
    namespace="shop",
    labels={"track": "stable", "app.kubernetes.io/version": "1.2.3"},
    annotations={"note": "hello"},
    service_account="kv",
)
MAPS = ConfigMaps(
    (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "shop"},
            "data": {"KV_LOG_FORMAT": "json", "KV_PORT": "8080"},
        },
    )
)


def variables(**container: Any) -> dict[str, str]:
    return read_environment(container, POD, MAPS).variables


def value_of(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": source}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "kv-stable-0"),
        ("metadata.namespace", "shop"),
        ("metadata.labels['track']", "stable"),
        ("metadata.labels['app.kubernetes.io/version']", "1.2.3"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['note']", "hello"),
        ("spec.nodeName", "rehearsal"),
        ("spec.serviceAccountName", "kv"),
        ("status.podIP", "127.0.0.1"),
    ],
)
def test_the_downward_api_is_resolved(path: str, value: str) -> None:
    assert variables(env=[value_of("X", fieldRef={"fieldPath": path})]) == {"X": value}


def test_all_of_a_config_map_is_taken_with_its_prefix() -> None:
    found = variables(envFrom=[{"prefix": "A_", "configMapRef": {"name": "settings"}}])

    assert found == {"A_KV_LOG_FORMAT": "json", "A_KV_PORT": "8080"}


def test_env_overrides_env_from() -> None:
    found = variables(
        envFrom=[{"configMapRef": {"name": "settings"}}], env=[{"name": "KV_PORT", "value": "1"}]
    )

    assert found == {"KV_LOG_FORMAT": "json", "KV_PORT": "1"}


def test_one_value_of_a_config_map_is_taken() -> None:
    reference = {"name": "settings", "key": "KV_PORT"}

    assert variables(env=[value_of("PORT", configMapKeyRef=reference)]) == {"PORT": "8080"}


def test_variables_refer_to_those_before_them() -> None:
    found = variables(
        env=[
            {"name": "A", "value": "a"},
            {"name": "B", "value": "$(A)-$(LATER)-$$(A)-$A"},
            {"name": "LATER", "value": "x"},
        ]
    )

    assert found["B"] == "a-$(LATER)-$(A)-$A"


def test_secrets_are_separate_from_unknown_values() -> None:
    found = read_environment(
        {
            "envFrom": [{"secretRef": {"name": "more"}}, {"configMapRef": {"name": "nowhere"}}],
            "env": [
                value_of("URL", secretKeyRef={"name": "kv-redis", "key": "url"}),
                value_of("CPU", resourceFieldRef={"resource": "limits.cpu"}),
                value_of("MAY", configMapKeyRef={"name": "no", "key": "no", "optional": True}),
            ],
        },
        POD,
        MAPS,
    )

    assert found.variables == {}
    assert found.secrets == {"URL": SecretKey("shop", "kv-redis", "url")}
    assert found.unknown == ["all of secret more", "all of configMap nowhere", "CPU"]
