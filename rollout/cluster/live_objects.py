"""Read a Deployment and the Services of its namespace, as they are in the cluster."""

from __future__ import annotations

from typing import Final

from lightkube import AsyncClient
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import Service

from ..runner.ports import TargetFailed
from .api_client import ApiClient, ApiError, Json, Kind

_DEPLOYMENT: Final[Kind] = create_namespaced_resource("apps", "v1", "Deployment", "deployments")


async def read_live(client: AsyncClient, namespace: str, name: str) -> list[Json]:
    """Return the Deployment, then the Services; raise TargetFailed."""
    api = ApiClient(client, namespace, retry_seconds=3, backoff_seconds=0.2)
    try:
        deployment = await api.get(_DEPLOYMENT, name)
        services = await api.list(Service)
    except ApiError as error:
        raise TargetFailed(
            f"Deployment {namespace}/{name} and its Services can't be read: {error}"
        ) from error
    named = {"apiVersion": "v1", "kind": "Service"}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment"} | deployment,
        *(named | each for each in services),
    ]
