"""The rendered Redis configurations run: containers of pods as processes on loopback."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

from svc.settings import Settings
from tests.conftest import need_redis_7
from tests.support.answers import Answer, ask, ask_admin, batch, increment, put
from tests.support.every_verb import CHANGES, MERGE, READS
from tests.support.manifests import ROOT, compose, containers, render, templates, the
from tests.support.services import Service, running_service
from tests.support.waiting import eventually, until

REDIS: Final = ROOT / "kustomize" / "redis"
START_SECONDS: Final = 90.0
#: redis-cli takes long to form a cluster of six servers.
FORM_SECONDS: Final = 120.0


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


MakeNode = Callable[[list[dict[str, Any]]], Node]


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    need_redis_7()
    if sys.platform != "linux" or not all(map(shutil.which, ("redis-server", "redis-cli"))):
        pytest.skip(
            "needs Linux, and redis-server and redis-cli by these names"
            " (Debian packages redis-server and redis-tools)"
        )
    nodes: list[Node] = []

    def make(objects: list[dict[str, Any]]) -> Node:
        nodes.append(Node(tmp_path, objects))
        return nodes[-1]

    yield make
    for node in nodes:
        node.stop()


@contextlib.asynccontextmanager
async def service_on(node: Node) -> Any:
    # These tests check answers, not times.
    settings = Settings(store_url=node.url(), store_timeout_ms=10_000)
    async with running_service(settings) as service:
        yield service


async def use_everything(service: Service) -> None:
    """Send each kind of request once or twice. Each must succeed."""
    asked = [*CHANGES[:-2], *READS, *CHANGES]
    for verb in asked:
        answer = await ask(service, verb.method, verb.path, **verb.options)
        assert answer.status < 300, (verb.name, answer)
    await ask(service, "PUT", "/v1/kv/again", json=1)
    step = {"op": "add", "counter": "n", "idempotency_key": "k"}
    results = await batch(
        service,
        *({"op": "put", "key": f"many/{i}", "value": i, "ttl": 60} for i in range(20)),
        *({"op": "get", "key": f"many/{i}"} for i in range(20)),
        *({"op": "add", "counter": f"many-{i % 3}", "by": 2**53} for i in range(20)),
        *(step, step),
        {"op": "delete", "key": "many/0"},
    )
    assert {each["status"] for each in results} <= {200, 201, 204}, results
    assert await names(service, "/v1/kv?prefix=many/&limit=7") == {
        f"many/{i}" for i in range(1, 20)
    }
    assert await names(service, "/v1/counters?prefix=many-") == {"many-0", "many-1", "many-2"}
    once = {"headers": {"Idempotency-Key": "refused", **MERGE}, "data": b"{}"}
    for _ in range(2):
        assert (await ask(service, "PATCH", "/v1/kv/nothing", **once)).status == 404
    status = (await ask_admin(service, "/statusz")).json
    assert (status["status"], status["store"]["answers"]) == ("ok", True)


async def names(service: Service, path: str) -> set[str]:
    """Return the names on all pages of a listing."""
    found: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        answer = await ask(service, "GET", path + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status == 200, answer
        found |= {each.get("key", each.get("name")) for each in answer.json["items"]}
        cursor = answer.json["next_cursor"]
    return found


async def succeeds(request: Callable[[], Any], *, seconds: float, what: str) -> Answer:
    async def tried() -> Answer | None:
        answer: Answer = await request()
        return answer if answer.status < 300 else None

    found: Answer = await eventually(tried, seconds=seconds, what=what)
    return found


async def test_the_service_can_do_everything_on_the_single_redis(make_node: MakeNode) -> None:
    node = make_node(render("kustomize/overlays/dev"))
    pod = node.run("redis", 0)
    until(pod.is_ready, seconds=START_SECONDS, what="Redis")

    async with service_on(node) as service:
        await use_everything(service)
        # Two changes in one script, which Redis writes as a transaction.
        assert (await increment(service, "kept", "once")).json["value"] == 1
        for number in (signal.SIGTERM, signal.SIGKILL):
            pod.stop(number)
            pod.start()
            kept = await succeeds(
                lambda: ask(service, "GET", "/v1/counters/kept"),
                seconds=START_SECONDS,
                what="Redis again",
            )
            assert kept.json["value"] == 1
            assert (await increment(service, "kept", "once")).headers["Idempotency-Replayed"]

    assert pod.probe("livenessProbe")
    assert "CRITICAL" not in pod.log


REFUSED: Final = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "maxmemory", "0"),
    ("DEBUG", "SLEEP", "0"),
    ("SHUTDOWN", "NOSAVE"),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "FLUSH"),
    ("ACL", "LIST"),
    ("CLIENT", "LIST"),
    ("MONITOR",),
    ("MODULE", "LIST"),
    ("REPLICAOF", "NO", "ONE"),
    ("MIGRATE", "127.0.0.1", "1", "kv:{000}:k", "0", "1"),
    ("SUBSCRIBE", "channel"),
    ("PUBLISH", "channel", "message"),
    ("SELECT", "1"),
    ("SWAPDB", "0", "1"),
    ("DUMP", "kv:{000}:k"),
    ("RENAME", "kv:{000}:k", "kv:{000}:l"),
    ("LPUSH", "kv:{000}:k", "v"),
    ("GET", "another"),
    ("GET", "kv:plain"),
    ("MGET", "kv:{000}:k", "another"),
    ("EVAL", "return redis.call('FLUSHALL')", "0"),
    ("EVAL", "return redis.call('GET', 'another')", "0"),
    ("EVAL", "return redis.call('SET', KEYS[1], 'v')", "1", "another"),
)


def execute_as(pod: Pod, user: str | None, password: str | None, *words: str) -> Any:
    with contextlib.closing(pod.client(user, password)) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]


def password_of(url: str) -> str:
    return url.partition("://")[2].partition("@")[0].partition(":")[2]


def refusal_of(pod: Pod, user: str | None, password: str | None, *words: str) -> str:
    with pytest.raises(redis.RedisError) as refused:
        execute_as(pod, user, password, *words)
    return str(refused.value)


def test_what_the_service_does_not_do_it_may_not_do_and_nobody_else_may_do_anything(
    make_node: MakeNode,
) -> None:
    node = make_node(render("kustomize/overlays/dev"))
    pod = node.run("redis", 0)
    until(pod.is_ready, seconds=START_SECONDS, what="Redis")
    kv = ("kv", password_of(node.url()))

    assert execute_as(pod, *kv, "SET", "kv:{000}:k", "v")
    for words in REFUSED:
        assert re.search(
            "permission|not allowed|can't run|can't access", refusal_of(pod, *kv, *words)
        ), words
    assert "permission" in refusal_of(pod, "health", "any", "GET", "kv:{000}:k")
    assert execute_as(pod, "health", "any", "PING")
    assert refusal_of(pod, None, None, "PING") == "Authentication required."
    for user, password in (("kv", "wrong"), ("default", ""), ("default", kv[1])):
        assert "invalid username-password pair" in refusal_of(pod, user, password, "PING")


def test_the_rendered_configuration_keeps_every_write_and_evicts_none(make_node: MakeNode) -> None:
    node = make_node(render("kustomize/overlays/dev"))
    pod = node.run("redis", 0)
    until(pod.is_ready, seconds=START_SECONDS, what="Redis")

    info = execute_as(pod, "kv", password_of(node.url()), "INFO")

    assert (info["aof_enabled"], info["maxmemory_policy"]) == (1, "noeviction")
    assert info["maxmemory"] == 64 * 2**20
    assert {name for name in info if "rejected_calls=" in str(info[name])} == set()


async def test_the_service_follows_the_primary_that_sentinels_choose(make_node: MakeNode) -> None:
    objects = [*render("kustomize/overlays/prod"), make_secret("sentinel")]
    config = the(objects, "ConfigMap", config_of(objects, "sentinel"))["data"]
    config["sentinel.conf"] = config["sentinel.conf"].replace("kv 5000", "kv 1000")
    node = make_node(objects)
    servers = [node.run("redis", i) for i in range(3)]
    sentinels = [node.run("sentinel", i) for i in range(3)]
    for pod in (*servers, *sentinels):
        until(pod.is_ready, seconds=START_SECONDS, what=pod.name)
    until(lambda: all(map(knows_all, sentinels)), seconds=START_SECONDS, what="Sentinels")

    async with service_on(node) as service:
        await succeeds(lambda: put(service, "k", b"v"), seconds=START_SECONDS, what="a replica")
        await use_everything(service)

        # The primary is killed and comes back at once with an empty volume.
        servers[0].stop(signal.SIGKILL)
        servers[0].wipe()
        servers[0].start()
        read = await succeeds(
            lambda: ask(service, "GET", "/v1/kv/k"), seconds=START_SECONDS, what="a failover"
        )
        assert read.body == b"v"
        until(servers[0].is_ready, seconds=START_SECONDS, what="redis-0")
        chosen = primary_of(sentinels[1])
        assert f"replicaof {chosen} " in config_at(servers[0])
        await succeeds(lambda: put(service, "k", b"w"), seconds=START_SECONDS, what="a replica")
        await use_everything(service)
        # Any of them may be the primary next.
        until(lambda: have_the_same(servers), seconds=START_SECONDS, what="the replicas")

    # All pods are killed and start again with new passwords and their old data.
    for pod in (*servers, *sentinels):
        pod.stop(signal.SIGKILL)
    node.objects = [each for each in node.objects if each["kind"] != "Secret"]
    node.objects.append(make_secret("sentinel"))
    for pod in (*sentinels, *servers):
        pod.start()
    async with service_on(node) as service:
        await succeeds(lambda: put(service, "l", b"x"), seconds=START_SECONDS, what="a primary")
        assert (await ask(service, "GET", "/v1/kv/k")).body == b"w"
    until(lambda: all(map(knows_all, sentinels)), seconds=START_SECONDS, what="Sentinels")


async def test_six_servers_form_a_cluster_and_find_each_other_after_all_have_moved(
    make_node: MakeNode, tmp_path: Path
) -> None:
    rendered = compose(tmp_path / "overlay", "kustomize/components/redis-cluster")
    node = make_node([*rendered, make_secret("cluster")])
    servers = [node.run("redis", i) for i in range(6)]
    until(
        lambda: all(pod.is_ready() for pod in servers),
        seconds=FORM_SECONDS,
        what="the cluster",
    )

    async with service_on(node) as service:
        await use_everything(service)
        assert (await increment(service, "kept", "once")).json["value"] == 1
    for pod in servers:
        pod.stop(signal.SIGKILL)
    node.moved = 100
    for pod in servers:
        pod.start()
    async with service_on(node) as service:
        again = await succeeds(
            lambda: increment(service, "kept", "once"), seconds=FORM_SECONDS, what="the cluster"
        )
        assert again.headers["Idempotency-Replayed"]
        until(
            lambda: all(pod.is_ready() for pod in servers),
            seconds=FORM_SECONDS,
            what="the cluster again",
        )
        await use_everything(service)


def knows_all(sentinel: Pod) -> bool:
    try:
        (state,) = execute_as(sentinel, None, None, "SENTINEL MASTERS").values()
    except redis.RedisError:
        return False
    return (state["num-slaves"], state["num-other-sentinels"]) == (2, 2)


def have_the_same(servers: Sequence[Pod]) -> bool:
    """Return True if all servers have received the same writes."""
    password = password_of(servers[0].node.url())
    offsets = set()
    try:
        for server in servers:
            with contextlib.closing(server.client("kv", password)) as client:
                offsets.add(client.info("replication")["master_repl_offset"])
    except redis.RedisError:
        return False
    return len(offsets) == 1


def primary_of(sentinel: Pod) -> str:
    address = execute_as(sentinel, None, None, "SENTINEL GET-MASTER-ADDR-BY-NAME", "kv")[0]
    return bytes(address).decode()


def config_at(server: Pod) -> str:
    return (server.node.directory / server.name / "data" / "redis.conf").read_text()


def config_of(objects: Sequence[dict[str, Any]], app: str) -> str:
    """Return the name of the ConfigMap that a StatefulSet mounts."""
    ((_, template),) = templates([the(objects, "StatefulSet", app)])
    (name,) = [v["configMap"]["name"] for v in template["spec"]["volumes"] if "configMap" in v]
    return str(name)
