"""Two releases over one Redis, behind a real Envoy that splits the requests by weight."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from svc.settings import Settings
from tests.rollout.envoy.envoy_binary import need_envoy
from tests.support.plain_http import fetch
from tests.support.ports import free_port
from tests.support.services import running_service
from tests.support.waiting import PATIENT_SECONDS, until


@contextlib.asynccontextmanager
async def running_split(
    store_url: str, directory: Path, canary_percent: int, **canary: Any
) -> AsyncIterator[str]:
    """Yield the address of an entrance to stable 1.4.0 and canary 1.5.0.

    ``canary`` are more settings of the canary.
    """
    stable = Settings(store_url=store_url, version="1.4.0", track="stable", pod="kv-stable-1")
    changed = Settings(
        store_url=store_url, version="1.5.0", track="canary", pod="kv-canary-1", **canary
    )
    async with running_service(stable) as old, running_service(changed) as new:
        weights = {old.port: 100 - canary_percent, new.port: canary_percent}
        with running_envoy(weights, directory) as port:
            yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running_envoy(weights: dict[int, int], directory: Path) -> Iterator[int]:
    """Run Envoy until the block ends; yield its port. ``weights`` are by port behind it."""
    port, admin = free_port(), free_port()
    file = directory / "envoy.json"
    file.write_text(json.dumps(bootstrap(port, admin, weights)))
    command = [
        *(need_envoy(), "--config-path", str(file), "--use-dynamic-base-id"),
        *("--disable-hot-restart", "--concurrency", "1", "--log-level", "error"),
    ]
    envoy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_ready() -> bool:
        assert envoy.poll() is None, "Envoy has ended"
        with contextlib.suppress(OSError):
            return fetch(f"http://127.0.0.1:{admin}/ready").status == 200
        return False

    try:
        until(is_ready, what="Envoy")
        yield port
    finally:
        envoy.kill()
        envoy.wait(PATIENT_SECONDS)


def bootstrap(port: int, admin: int, weights: dict[int, int]) -> dict[str, Any]:
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network"
        ".http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "entrance",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            # Watches have no end.
                            "route": {"timeout": "0s", "weighted_clusters": weighted(weights)},
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    filters = [{"name": "http", "typed_config": manager}]
    return {
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [{"address": address(port), "filter_chains": [{"filters": filters}]}],
            "clusters": [cluster(each) for each in weights],
        },
    }


def weighted(weights: dict[int, int]) -> dict[str, Any]:
    return {"clusters": [{"name": str(p), "weight": weight} for p, weight in weights.items()]}


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(port: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]
    return {
        "name": str(port),
        "type": "STATIC",
        "load_assignment": {"cluster_name": str(port), "endpoints": endpoints},
    }
