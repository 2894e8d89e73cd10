"""Pods of the rendered Redis StatefulSets, run as processes on loopback."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.manifests import ROOT, containers, templates, the

REDIS: Final = ROOT / "kustomize" / "redis"
START_SECONDS: Final = 90.0


class Node:
    """A machine for pods. Each pod has an address in 127/8 and the name that its Service gives.

    Volumes of a container become directories. In its command, arguments, files and environment,
    mount paths become directories, names of other pods their addresses, and ports free ports.
    """

    def __init__(self, directory: Path, objects: list[dict[str, Any]]) -> None:
        self.directory = directory
        self.objects = objects
        # Nobody else listens in the subnet.
        self.port, self.sentinel_port = 12_379, 13_379
        self.subnet = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        #: Added to the last number of every address. Another value moves all pods.
        self.moved = 0
        self.pods: list[Pod] = []

    def address(self, pod: str) -> str:
        app, _, ordinal = pod.partition("-")
        return f"{self.subnet}.{self.moved + (10 if app == 'redis' else 20) + int(ordinal)}"

    def translate(self, text: str, mounts: dict[str, Path]) -> str:
        for path in sorted(mounts, key=len, reverse=True):
            text = re.sub(rf"(?<![\w/]){re.escape(path)}(?![\w-])", str(mounts[path]), text)
        text = re.sub(
            r"\b(redis|sentinel)-(\d|\*|\$\w+|\$\{[^}]*\})\.(redis-headless|sentinel)\b",
            lambda m: self.address(f"{m[1]}-0")[:-1] + m[2],
            text,
        )
        ports = {6379: self.port, 16379: self.port + 10000, 26379: self.sentinel_port}
        for port, free in ports.items():
            text = re.sub(rf"(?<!\d){port}(?!\d)", str(free), text)
        return text

    def run(self, app: str, ordinal: int) -> Pod:
        pod = Pod(self, app, ordinal)
        self.pods.append(pod)
        pod.start()
        return pod

    def url(self) -> str:
        url = secret_of(self.objects)["url"].replace("@redis:", f"@{self.address('redis-0')}:")
        return self.translate(url, {})

    def stop(self) -> None:
        for pod in self.pods:
            pod.stop(signal.SIGKILL)


class Pod:
    """A pod of a StatefulSet. Its volumes outlive its processes."""

    def __init__(self, node: Node, app: str, ordinal: int) -> None:
        self.node = node
        self.name = f"{app}-{ordinal}"
        owner = the(node.objects, "StatefulSet", app)
        ((_, self.template),) = templates([owner])
        (self.container,) = containers(self.template)
        self.port = node.port if app == "redis" else node.sentinel_port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return self.node.address(self.name)

    @property
    def log(self) -> str:
        return (self.node.directory / f"{self.name}.log").read_text()

    def start(self) -> None:
        mounts = self._mount()
        environ = {"PATH": os.environ["PATH"], **self._environ()}
        command = [*self.container["command"], *self.container.get("args", [])]
        with (self.node.directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(self.node.translate(word, mounts) for word in command),
                    # In a pod all addresses belong to it.
                    *("--bind", self.address, "--port", str(self.port)),
                ],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A start script may leave other processes running.
                start_new_session=True,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        self.process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process = None

    def wipe(self) -> None:
        shutil.rmtree(self.node.directory / self.name / "data")

    def is_ready(self) -> bool:
        return all(map(self.probe, {"startupProbe", "readinessProbe"} & self.container.keys()))

    def probe(self, name: str) -> bool:
        """Run the container's probe as the kubelet would."""
        command = [self.node.translate(w, {}) for w in self.container[name]["exec"]["command"]]
        environ = {"PATH": os.environ["PATH"], **self._environ()}
        done = subprocess.run(command, env=environ, check=False, capture_output=True, timeout=60)
        return done.returncode == 0

    def client(self, user: str | None = None, password: str | None = None) -> redis.Redis:
        return redis.Redis(
            host=self.address,
            port=self.port,
            username=user,
            password=password,
            protocol=2,
            driver_info=None,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=60,
        )

    def _environ(self) -> dict[str, str]:
        fields = {"metadata.name": self.name, "status.podIP": self.address}
        secret = secret_of(self.node.objects)
        return {
            each["name"]: fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            if "fieldRef" in each["valueFrom"]
            else secret[each["valueFrom"]["secretKeyRef"]["key"]]
            for each in self.container["env"]
        }

    def _mount(self) -> dict[str, Path]:
        volumes = {each["name"]: each for each in self.template["spec"]["volumes"]}
        mounts = {
            each["mountPath"]: self.node.directory / self.name / each["name"]
            for each in self.container["volumeMounts"]
        }
        for each in self.container["volumeMounts"]:
            directory = mounts[each["mountPath"]]
            directory.mkdir(parents=True, exist_ok=True)
            volume = volumes.get(each["name"], {})
            files: dict[str, str] = {}
            if "configMap" in volume:
                files = the(self.node.objects, "ConfigMap", volume["configMap"]["name"])["data"]
            elif "secret" in volume:
                secret = secret_of(self.node.objects)
                files = {item["path"]: secret[item["key"]] for item in volume["secret"]["items"]}
            for name, text in files.items():
                (directory / name).write_text(self.node.translate(text, mounts))
        return mounts


def secret_of(objects: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the data of the Redis Secret as text."""
    (secret,) = [each for each in objects if each["kind"] == "Secret"]
    data = {name: base64.b64decode(text).decode() for name, text in secret.get("data", {}).items()}
    return {**data, **secret.get("stringData", {})}


def make_secret(mode: str, **environ: str) -> dict[str, Any]:
    """Return the Secret that secret.sh prints."""
    made = subprocess.run(
        ["sh", str(REDIS / "secret.sh"), mode],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    secret: dict[str, Any] = yaml.safe_load(made.stdout)
    return secret


def execute_as(pod: Pod, user: str | None, password: str | None, *words: str) -> Any:
    with contextlib.closing(pod.client(user, password)) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]


def password_of(url: str) -> str:
    return url.partition("://")[2].partition("@")[0].partition(":")[2]


MakeNode = Callable[[list[dict[str, Any]]], Node]
