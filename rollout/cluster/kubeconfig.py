"""Find the cluster and log in: by a kubeconfig and its context, or by the pod's service account."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import yaml
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import NameValue, User, UserExec
from lightkube.core.exceptions import ConfigError

from ..runner.ports import TargetFailed
from .cluster_client import ClusterClient

#: For each part of a request. It must be longer than a slow server takes, and bounds how long a
#: request may hang that was sent just before the server came back.
_TIMEOUT_SECONDS: Final = 5.0
_DEFAULT_FILE: Final = "~/.kube/config"
_EXEC_GROUP: Final = "client.authentication.k8s.io"
_REMEDY: Final = "try kubectl with the same --kubeconfig and --context first"


@contextlib.asynccontextmanager
async def open_client(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> AsyncIterator[ClusterClient]:
    """Open a client with the configuration of ``load_config``; raise TargetFailed without one.

    No request is sent yet. ``timeout_seconds`` is for each request. The configuration is read again
    whenever the server doesn't accept the credentials.
    """

    def load() -> SingleConfig:
        return load_config(kubeconfig=kubeconfig, context=context, environ=environ)

    try:
        client = ClusterClient(load, timeout_seconds)
    except (ConfigError, OSError, ValueError) as error:
        raise TargetFailed(f"can't log in to the cluster: {error}; {_REMEDY}") from error
    try:
        yield client
    finally:
        await client.close()


def load_config(
    *, kubeconfig: str | None, context: str | None, environ: Mapping[str, str]
) -> SingleConfig:
    """Return the cluster's address and the credentials; raise TargetFailed.

    The first of these that exists is read: the file ``kubeconfig``, ``KUBECONFIG``, the pod's
    service account, ``~/.kube/config``. With a ``context``, the service account is skipped.
    """
    named = kubeconfig or environ.get("KUBECONFIG")
    try:
        if not named and context is None and _in_cluster(environ):
            config = KubeConfig.from_service_account(SERVICE_ACCOUNT).get()
        else:
            config = KubeConfig.from_file(_one_file(named or _DEFAULT_FILE)).get(context)
    except (ConfigError, OSError) as error:
        raise TargetFailed(f"no cluster found: {error}; {_REMEDY}") from error
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError, yaml.YAMLError) as error:
        raise TargetFailed(f"{named or _DEFAULT_FILE} is no kubeconfig; {_REMEDY}") from error
    if config is None:  # lightkube's types allow None; it raises ConfigError instead
        raise TargetFailed(f"the kubeconfig has no current context; {_REMEDY}")
    return config._replace(user=_supported_user(config.user))


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


def _supported_user(user: User | None) -> User:
    """Return a user that lightkube supports: not None, and with an exec plugin of v1beta1."""
    if user is None:
        return User()
    plugin = user.exec
    if plugin is None or plugin.apiVersion != f"{_EXEC_GROUP}/v1":
        return user
    # For tokens, v1 and v1beta1 are the same protocol. KUBERNETES_EXEC_INFO makes the plugin
    # answer in its own version.
    exec_info = {
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
            env=[*(plugin.env or []), NameValue("KUBERNETES_EXEC_INFO", json.dumps(exec_info))],
        ),
    )
