"""A Prometheus process that scrapes the rehearsal, if Prometheus is installed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp

from ..envoy.configuration import Address
from .child_process import Child
from .executables import find_prometheus
from .kubelet import Pod
from .loopback import free_address, url_of

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 2.0
_SCRAPE_INTERVAL: Final = "1s"


@contextlib.asynccontextmanager
async def running_prometheus(
    directory: Path, pods: Iterable[Pod], metrics: Address, client: aiohttp.ClientSession
) -> AsyncIterator[str | None]:
    """Run a Prometheus until the block ends; yield its URL, None if it is not installed.

    It scrapes the pods' admin ports, as their PodMonitor does in a cluster, and ``metrics``: the
    series of the gateway and of the rollout.
    """
    program = find_prometheus()
    if program is None:
        yield None
        return
    address = free_address()
    url = url_of(address)
    file = directory / "prometheus.json"
    file.write_text(json.dumps(scrape_configuration(pods, metrics)), encoding="utf-8")
    command = [
        *(program, f"--config.file={file}"),
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={address.host}:{address.port}",
        *("--enable-feature=exemplar-storage", "--log.level=warn"),
    ]
    child = await Child.start("Prometheus", command, directory / "prometheus.log")
    try:
        await child.wait_ready(partial(_is_ready, url, client), START_SECONDS)
        yield url
    finally:
        await child.stop(STOP_SECONDS)


def scrape_configuration(pods: Iterable[Pod], metrics: Address) -> dict[str, Any]:
    """Return Prometheus' configuration, to be written as JSON: YAML includes JSON."""
    targets = [_pod_target(pod, pod.admin) for pod in pods if pod.admin is not None]
    return {
        "global": {"scrape_interval": _SCRAPE_INTERVAL, "scrape_timeout": _SCRAPE_INTERVAL},
        "scrape_configs": [
            *([{"job_name": "kv", "static_configs": targets}] if targets else []),
            {
                "job_name": "istio-proxies",
                # Keep the series' own labels, such as destination_workload_namespace.
                "honor_labels": True,
                "static_configs": [_static(metrics, namespace="istio-ingress", pod="gateway-0")],
            },
        ],
    }


def _pod_target(pod: Pod, admin: Address) -> dict[str, Any]:
    spec = pod.spec
    return _static(
        admin,
        namespace=spec.namespace,
        pod=spec.name,
        container=spec.container,
        endpoint="admin",
        app=spec.labels.get("app", ""),
        version=spec.version,
        track=spec.labels.get("track", ""),
    )


def _static(address: Address, **labels: str) -> dict[str, Any]:
    return {"targets": [f"{address.host}:{address.port}"], "labels": labels}


async def _is_ready(url: str, client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get(f"{url}/-/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
