"""Find the cluster and log in: a kubeconfig and its context, or the pod's own account.

The client is lightkube: typed and async, JSON patches of any kind of object, 9 MB and 0.4 s to
import where kubernetes_asyncio takes 46 MB and 3 s and kr8s 50 MB and 1 s.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import httpx2
import msgspec
import yaml
from lightkube import AsyncClient
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import NameValue, User, UserExec
from lightkube.core.exceptions import ConfigError

from ..runner.ports import TargetFailed

#: Under this name the cluster notes who wrote which field.
FIELD_MANAGER: Final = "tallykv-rollout"
_TIMEOUT_SECONDS: Final = 5.0
_DEFAULT_FILE: Final = "~/.kube/config"
_EXEC_GROUP: Final = "client.authentication.k8s.io"


@contextlib.asynccontextmanager
async def open_client(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> AsyncIterator[AsyncClient]:
    """Open a client of the cluster that ``find_cluster`` finds; raise TargetFailed without one.

    Nothing is sent yet. A request that takes longer than ``timeout_seconds`` has failed.
    """
    config = find_cluster(kubeconfig=kubeconfig, context=context, environ=environ)
    try:
        client = AsyncClient(
            config, timeout=httpx2.Timeout(timeout_seconds), field_manager=FIELD_MANAGER
        )
    except (ConfigError, OSError, ValueError) as error:
        raise TargetFailed(f"no way to log in to the cluster: {error}; {_remedy()}") from error
    try:
        yield client
    finally:
        await client.close()


def find_cluster(
    *, kubeconfig: str | None, context: str | None, environ: Mapping[str, str]
) -> SingleConfig:
    """Return where the cluster is and who we are there.

    Looked for in this order: the file that is named, ``KUBECONFIG``, the account of the pod that
    we run in, ``~/.kube/config``. A context that is named has to be in a file.
    """
    named = kubeconfig or environ.get("KUBECONFIG")
    try:
        if not named and context is None and _in_cluster(environ):
            config = KubeConfig.from_service_account(SERVICE_ACCOUNT).get()
        else:
            config = KubeConfig.from_file(_one_file(named or _DEFAULT_FILE)).get(context)
    except (ConfigError, OSError) as error:
        raise TargetFailed(f"no cluster to be found: {error}; {_remedy()}") from error
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError, yaml.YAMLError) as error:
        raise TargetFailed(f"{named or _DEFAULT_FILE} is no kubeconfig; {_remedy()}") from error
    if config is None:  # without a context; lightkube raises instead, its types don't say so
        raise TargetFailed(f"the kubeconfig has no current context; {_remedy()}")
    return config._replace(user=_known_user(config.user))


def _in_cluster(environ: Mapping[str, str]) -> bool:
    return (
        bool(environ.get("KUBERNETES_SERVICE_HOST")) and (Path(SERVICE_ACCOUNT) / "token").is_file()
    )


def _one_file(named: str) -> str:
    files = [each for each in named.split(os.pathsep) if each]
    if len(files) > 1:
        raise TargetFailed(
            "KUBECONFIG names several files; join them: kubectl config view --flatten > FILE"
        )
    return named


def _known_user(user: User | None) -> User:
    """Return a user that lightkube takes: it asserts that there is one, and runs no v1 plugins."""
    if user is None:
        return User()
    plugin = user.exec
    if plugin is None or plugin.apiVersion != f"{_EXEC_GROUP}/v1":
        return user
    # For a token, v1 and v1beta1 are one protocol; the variable tells the plugin what to answer.
    told = {
        "apiVersion": plugin.apiVersion,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    return msgspec.structs.replace(
        user,
        exec=UserExec(
            apiVersion=f"{_EXEC_GROUP}/v1beta1",
            command=plugin.command,
            args=plugin.args,
            env=[*(plugin.env or []), NameValue("KUBERNETES_EXEC_INFO", json.dumps(told))],
        ),
    )


def _remedy() -> str:
    return "try kubectl with the same --kubeconfig and --context first"
