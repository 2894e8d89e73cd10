"""Which cluster and which credentials are used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rollout.cluster.kubeconfig import load_config, open_client
from rollout.cluster.target import ClusterTarget
from rollout.runner.ports import TargetFailed
from tests.rollout.cluster.virtual_services import COLLECTION, QUICK, canary_plan, live, share, step
from tests.support.api_server import TOKEN, ApiServer


async def reached(server: ApiServer, kubeconfig: Path) -> bool:
    """Return True if the routes can be read with this kubeconfig."""
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()
    async with open_client(kubeconfig=str(kubeconfig), environ={}) as client:
        return await ClusterTarget(client, steps, QUICK).in_force(step(steps, "w0"))


def plugin(path: Path, version: str, answer: str) -> dict[str, object]:
    """Make a credentials plugin that prints ``answer`` if it gets its own version."""
    path.write_text(
        f"import os, sys\n"
        f"assert os.environ['FLAVOUR'] == 'mine'\n"
        f"exec_info = os.environ.get('KUBERNETES_EXEC_INFO', '')\n"
        f"if {version!r} == 'v1' and 'client.authentication.k8s.io/v1\"' not in exec_info:\n"
        f"    sys.exit(7)\n"
        f"print('{answer}')\n"
    )
    return {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "command": sys.executable,
        "args": [str(path)],
        "env": [{"name": "FLAVOUR", "value": "mine"}],
        "interactiveMode": "Never",
    }


async def test_the_current_context_is_taken(server: ApiServer, tmp_path: Path) -> None:
    assert await reached(server, server.kubeconfig(tmp_path / "config"))


def test_a_context_can_be_chosen(server: ApiServer, tmp_path: Path) -> None:
    named = str(server.kubeconfig(tmp_path / "config"))

    found = load_config(kubeconfig=None, context="elsewhere", environ={"KUBECONFIG": named})

    assert found.cluster.server == "http://127.0.0.1:1"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_plugin_gives_the_token(server: ApiServer, tmp_path: Path, version: str) -> None:
    answer = f'{{"kind": "ExecCredential", "status": {{"token": "{TOKEN}"}}}}'
    run = plugin(tmp_path / "plugin.py", version, answer)

    assert await reached(server, server.kubeconfig(tmp_path / "config", exec=run))


@pytest.mark.parametrize("answer", ["", "{}", '{"status": {"clientCertificateData": "x"}}'])
async def test_a_plugin_without_a_token_is_reported(
    server: ApiServer, tmp_path: Path, answer: str
) -> None:
    run = plugin(tmp_path / "plugin.py", "v1beta1", answer)

    with pytest.raises(TargetFailed, match="the credentials plugin returned no token"):
        await reached(server, server.kubeconfig(tmp_path / "config", exec=run))


async def test_a_missing_plugin_is_reported(server: ApiServer, tmp_path: Path) -> None:
    run = plugin(tmp_path / "plugin.py", "v1", "{}") | {"command": str(tmp_path / "none")}

    with pytest.raises(TargetFailed, match="the credentials plugin can't be run"):
        await reached(server, server.kubeconfig(tmp_path / "config", exec=run))


@pytest.mark.parametrize("user", [{"token": "another"}, {"username": "me", "password": "x"}])
async def test_wrong_credentials_are_reported(
    server: ApiServer, tmp_path: Path, user: dict[str, str]
) -> None:
    with pytest.raises(TargetFailed, match=r"doesn't accept the credentials \(401"):
        await reached(server, server.kubeconfig(tmp_path / "config", **user))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "not found"),
        ("", "is no kubeconfig"),
        ("- a list", "is no kubeconfig"),
        ("{clusters: [], contexts: [], users: []}", "No current context"),
        ("{clusters: [], contexts: [], current-context: gone}", "'gone' not found"),
        (
            "{clusters: [], contexts: [{name: a, context: {cluster: b}}], current-context: a}",
            "no k",
        ),
        ("a: b: c", "is no kubeconfig"),
    ],
)
def test_without_a_cluster_it_says_what_to_do(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)

    with pytest.raises(TargetFailed, match=f"{said}.*; try kubectl with the same"):
        load_config(kubeconfig=str(file), context=None, environ={})


def test_several_files_are_refused() -> None:
    with pytest.raises(TargetFailed, match="kubectl config view --flatten"):
        load_config(kubeconfig=None, context=None, environ={"KUBECONFIG": "/a:/b"})


def test_in_a_pod_its_service_account_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text("shop")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    monkeypatch.setattr("rollout.cluster.kubeconfig.SERVICE_ACCOUNT", str(tmp_path))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    found = load_config(kubeconfig=None, context=None, environ=environ)

    assert found.cluster.server == "https://10.0.0.1:443"
    assert found.user is not None
    # The file is read again when the token is rotated.
    assert found.user.token_file == str(tmp_path / "token")
