"""A Link to a Redis Cluster: sends each command to the server that owns its slot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ..domain.errors import StoreUnavailable
from ..telemetry.loop_clock import loop_clock
from ..telemetry.store_meter import StoreMeter
from .clock import ServerClock
from .failures import Failures
from .link import Command, Link, Lost, Unsent
from .names import slot_of
from .node_link import NodeLink, by_source
from .wire import Reply, ReplyError, Wire

Address = tuple[str, int]

#: Redirections followed for one command. A slot that is being moved needs at most two.
MAX_REDIRECTS: Final = 5
#: Timeout of CLUSTER SLOTS.
REFRESH_SECONDS: Final = 1.0


class ClusterLink:
    """Keeps the map from slots to servers, and follows MOVED and ASK.

    A redirected command was not executed, so sending it again is safe.
    """

    is_cluster = True

    def __init__(
        self,
        seeds: Sequence[Address],
        connect: Callable[[Address], Awaitable[Wire]],
        meter: StoreMeter | None = None,
        *,
        failures: Failures | None = None,
    ) -> None:
        self.clock = ServerClock()
        self._failures = failures
        self._meter = meter
        self._seeds = list(seeds)
        self._connect = connect
        self._nodes: dict[Address, NodeLink] = {}
        self._slots: dict[int, Address] = {}
        self._servers: set[Address] = set()
        #: What ``_slots`` was made from: the host that was asked, and its reply.
        self._told: tuple[str, Reply] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def groups(self, names: Sequence[bytes]) -> list[list[int]]:
        by_slot: dict[int, list[int]] = {}
        for i, name in enumerate(names):
            by_slot.setdefault(slot_of(name), []).append(i)
        return list(by_slot.values())

    def server_of(self, name: bytes) -> Link:
        address = self._slots.get(slot_of(name))
        return self if address is None else self._node(address)

    def layout(self) -> str:
        starts = [
            f"{slot}@{address}"
            for slot, address in sorted(self._slots.items())
            if self._slots.get(slot - 1) != address
        ]
        return "\n".join(starts)

    async def primaries(self, deadline: float) -> Sequence[NodeLink]:
        if not self._slots:
            await self._wait_for_slots(deadline)
        if not self._slots:
            raise StoreUnavailable("no server of the cluster says who has which keys")
        return [self._node(address) for address in sorted(self._servers)]

    async def refresh(self) -> None:
        await asyncio.wait({self._refresh_soon()})

    async def execute(
        self, commands: Sequence[Command], *, deadline: float, repeatable: bool = False
    ) -> list[Reply]:
        if not self._slots:
            await self._wait_for_slots(deadline)
        replies: list[Reply] = [Unsent("no server of the cluster has the slot")] * len(commands)
        left: dict[int, Address] = {}
        for i, command in enumerate(commands):
            address = self._address_of(command)
            if address is not None:
                left[i] = address
        asking: set[int] = set()
        asked: dict[int, Address] = {}
        stale = len(left) < len(commands)
        for _ in range(MAX_REDIRECTS):
            if not left:
                break
            await self._execute_on_nodes(commands, left, asking, replies, deadline, repeatable)
            asked, left, asking = {**asked, **left}, {}, set()
            for i, reply in enumerate(replies):
                if isinstance(reply, Unsent | Lost):
                    stale = True
                elif isinstance(reply, ReplyError):
                    if reply.code in {"MOVED", "ASK"}:
                        left[i] = _redirection(reply, asked[i])
                    if reply.code == "ASK":
                        asking.add(i)
                    stale = stale or reply.code in {"MOVED", "CLUSTERDOWN"}
        if stale:
            self._refresh_soon()
        return replies

    async def _execute_on_nodes(
        self,
        commands: Sequence[Command],
        addresses: dict[int, Address],
        asking: set[int],
        replies: list[Reply],
        deadline: float,
        repeatable: bool,
    ) -> None:
        by_node: dict[Address, list[int]] = {}
        for i, address in addresses.items():
            by_node.setdefault(address, []).append(i)

        async def on_node(address: Address, indices: list[int]) -> None:
            batch: list[Command] = []
            for i in indices:
                if i in asking:
                    # ASKING holds for one command only, so a second try by EVAL is not possible.
                    batch += [("ASKING",), by_source(commands[i])]
                else:
                    batch.append(commands[i])
            answers = iter(
                await self._node(address).execute(batch, deadline=deadline, repeatable=repeatable)
            )
            for i in indices:
                if i in asking:
                    next(answers)
                replies[i] = next(answers)

        if len(by_node) == 1:
            ((address, indices),) = by_node.items()
            await on_node(address, indices)
        else:
            await asyncio.gather(*(on_node(a, indices) for a, indices in by_node.items()))

    def _address_of(self, command: Command) -> Address | None:
        # A script call is (script, number of keys, key, …); other commands are (name, key, …).
        name = command[2] if not isinstance(command[0], str) else command[1:2]
        if name == ():  # a command without a key can go to any server
            return next(iter(self._slots.values()), None)
        if isinstance(name, tuple):
            name = name[0]
        return (
            self._slots.get(slot_of(name))
            if isinstance(name, bytes)
            else next(iter(self._slots.values()), None)
        )

    def _node(self, address: Address) -> NodeLink:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = NodeLink(
                lambda: self._connect(address),
                self._meter,
                clock=self.clock,
                failures=self._failures,
            )
        return node

    async def _wait_for_slots(self, deadline: float) -> None:
        """Wait for the map of slots until the deadline. Concurrent callers share one refresh.

        Ask again if no server answered in time; not if all of them refused.
        """
        clock = loop_clock()
        while not self._slots and (left := deadline - clock.now()) > 0:
            began = clock.now()
            await asyncio.wait({self._refresh_soon()}, timeout=left)
            if clock.now() < began + REFRESH_SECONDS:
                return

    def _refresh_soon(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            deadline = loop_clock().now() + REFRESH_SECONDS
            self._refreshing = asyncio.create_task(self._refresh(deadline))
        return self._refreshing

    async def _refresh(self, deadline: float) -> None:
        """Ask all known servers for the map of slots at once, and use the first answer."""
        asked = [
            asyncio.ensure_future(self._ask(address, deadline))
            for address in dict.fromkeys([*self._nodes, *self._seeds])
        ]
        for answer in asyncio.as_completed(asked):
            if told := await answer:
                if (
                    told != self._told
                ):  # It takes milliseconds, and is the same after most failures.
                    self._slots = _slots_of(*told)
                    self._servers = set(self._slots.values())
                    self._told = told
                break
        for task in asked:
            task.cancel()
        # Forget servers that left the cluster; on Kubernetes, that is every replaced pod.
        for address in set(self._nodes) - self._servers - set(self._seeds):
            await self._nodes.pop(address).close()

    async def _ask(self, address: Address, deadline: float) -> tuple[str, Reply] | None:
        command = ("CLUSTER", "SLOTS")
        (reply,) = await self._node(address).execute([command], deadline=deadline, repeatable=True)
        return None if isinstance(reply, Exception) or not reply else (address[0], reply)

    def connections(self) -> tuple[int, int, int]:
        counts = [node.connections() for node in self._nodes.values()]
        return sum(c[0] for c in counts), sum(c[1] for c in counts), sum(c[2] for c in counts)

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        for node in self._nodes.values():
            await node.close()


def _redirection(reply: ReplyError, asked: Address) -> Address:
    # "MOVED 3999 127.0.0.1:6381". An empty host means the server that sent the redirection.
    host, _, port = str(reply).split(" ")[2].rpartition(":")
    return host or asked[0], int(port)


def _slots_of(asked: str, reply: Reply) -> dict[int, Address]:
    """Return each slot's server by a reply to CLUSTER SLOTS of the host ``asked``."""
    slots: dict[int, Address] = {}
    for first, last, primary, *_ in reply:
        host = primary[0].decode() if primary[0] else asked
        slots.update(dict.fromkeys(range(first, last + 1), (host, primary[1])))
    return slots
