"""A network namespace for one Redis, whose packets the test drops."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

from tests.support.ports import free_port
from tests.support.waiting import PATIENT_SECONDS, until

#: Routing rules are searched in this order. The kernel's own first rule is moved behind ours.
_OURS, _LOCAL = "5", "10"
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class DistantRedis:
    """A Redis in a namespace of its own. ``ip rule`` drops what is sent to it."""

    def __init__(self, name: str, address: str, directory: Path) -> None:
        self.name = name
        self.address = address
        self.port = free_port()
        self.socket = directory / "redis.sock"

    @property
    def url(self) -> str:
        return f"redis://{self.address}:{self.port}"

    def client(self) -> redis.Redis:
        """Return a client on the socket, which is not part of the network."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=PATIENT_SECONDS)

    def cut(self) -> None:
        """Drop every packet to Redis, without telling the sender."""
        _rule(self.name, "add", "dport", str(self.port))

    def heal(self) -> None:
        _rule(self.name, "del", "dport", str(self.port))

    def forget_connections(self) -> None:
        """Drop every packet of the connections open now, as a NAT does that forgot them."""
        with contextlib.closing(self.client()) as client:
            for each in client.client_list():
                if not each["addr"].startswith("/"):  # as this client's does
                    _rule(self.name, "add", "sport", each["addr"].rpartition(":")[2])


def _ip(*words: str) -> None:
    command, path = ["ip", *words], {"PATH": _PATH}
    subprocess.run(command, check=True, env=path, capture_output=True, timeout=PATIENT_SECONDS)


def _rule(name: str, verb: str, which: str, port: str) -> None:
    match = ("iif", "inner", "ipproto", "tcp", which, port, "blackhole")
    _ip("-n", name, "rule", verb, "pref", _OURS, *match)


@contextlib.contextmanager
def distant_redis(binary: str, directory: Path) -> Iterator[DistantRedis]:
    """Start a Redis in a new namespace. Skip the test, naming what is missing, if that fails."""
    if shutil.which("ip", path=_PATH) is None:
        pytest.skip("needs ip (Debian package iproute2)")
    pid = os.getpid()
    name, outer = f"kv-{pid}", f"kv{pid}"
    # Each process of a parallel run has a subnet of its own.
    net = f"10.213.{pid >> 6 & 255}.{(pid & 63) * 4}".rsplit(".", 1)
    near, far = (f"{net[0]}.{int(net[1]) + i}" for i in (1, 2))
    with contextlib.ExitStack() as stack:
        try:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            _ip("link", "add", outer, "type", "veth", "peer", "name", "inner", "netns", name)
            stack.callback(_ip, "link", "del", outer)  # at once; with the namespace, it goes later
            _ip("addr", "add", f"{near}/30", "dev", outer)
            _ip("link", "set", outer, "up")
            _ip("-n", name, "addr", "add", f"{far}/30", "dev", "inner")
            _ip("-n", name, "link", "set", "inner", "up")
            _ip("-n", name, "rule", "add", "pref", _LOCAL, "lookup", "local")
            _ip("-n", name, "rule", "del", "pref", "0")
        except subprocess.CalledProcessError as refusal:
            what = " ".join(refusal.cmd[:4])
            pytest.skip(f"needs root and network namespaces with routing rules: {what} fails")
        server = DistantRedis(name, far, directory)
        process = subprocess.Popen(
            [
                *("ip", "netns", "exec", name, binary, "--port", str(server.port)),
                *("--bind", far, "--protected-mode", "no", "--dir", str(directory)),
                *("--unixsocket", str(server.socket), "--save", "", "--appendonly", "no"),
            ],
            env={"PATH": _PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        stack.callback(process.wait, PATIENT_SECONDS)
        stack.callback(process.kill)
        until(lambda: _answers(server), what="Redis in the namespace")
        yield server


def _answers(server: DistantRedis) -> bool:
    try:
        with contextlib.closing(server.client()) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False
