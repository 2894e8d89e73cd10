"""Gates hold a rollout or send it back, and never hold up a way back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientSession, web

from rollout.plan.gate_spec import GateSpec, HttpGate
from rollout.plan.model import Plan, StepConditions
from rollout.plan.plan_file import PlanInvalid, parse_plan_file
from rollout.runner.command_gate import command_gate
from rollout.runner.controller import Controller
from rollout.runner.decisions import Verdict
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.gates import Answer, GateAnswer, GateFailed, Gates, Question
from rollout.runner.http_gate import http_gate
from rollout.runner.state_store import ControlCommand
from tests.rollout.runner.simulated_service import Script, SimulatedService, plan_of
from tests.support.processes import is_running
from tests.support.waiting import eventually

PLAN: Final = plan_of(0.0, 0.1, 1.0)
GO_ON: Final = GateAnswer(Answer.GO_ON)
DENY: Final = GateAnswer(Answer.DENY, "403 frozen")
WAIT: Final = GateAnswer(Answer.WAIT)


def spec(**fields: Any) -> GateSpec:
    gate = {"name": "calendar", "command": ["true"], "interval": "1s", **fields}
    return parse_plan_file({"gates": [gate]}, "plan.yaml")[0].gates[0]


class Scripted:
    """Says the answers in turn, the last one for ever; keeps the questions."""

    def __init__(self, *answers: GateAnswer | GateFailed) -> None:
        self._answers = [*answers]
        self.questions: list[Question] = []

    async def __call__(self, question: Question) -> GateAnswer:
        self.questions.append(question)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, GateFailed):
            raise answer
        return answer


async def run(
    service: SimulatedService,
    store: DirectoryStateStore,
    gate: GateSpec,
    ask: Callable[[Question], Awaitable[GateAnswer]],
    plan: Plan = PLAN,
) -> Verdict:
    ports = service.ports(store)
    gates = Gates(plan, [(gate, ask)], ports.monotonic)
    try:
        return await Controller(plan, dataclasses.replace(ports, gates=gates)).run()
    finally:
        await gates.close()


async def test_a_step_waits_until_its_gate_goes_on(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    ask = Scripted(*[WAIT] * 20, GO_ON)

    assert await run(service, store, spec(steps=["2"]), ask) is Verdict.PROMOTED

    assert "hold gate" in service.recorded
    assert len(ask.questions) > 20
    first = ask.questions[0]
    assert (first["what"], first["step"], first["next"], first["nextShare"]) == (
        "step",
        "1",
        "2",
        1.0,
    )
    assert first["canary"]["requests"] > 100


@pytest.mark.parametrize("when", ["step", "promotion", "always"])
async def test_a_gate_that_denies_sends_the_release_back(
    service: SimulatedService, store: DirectoryStateStore, when: str
) -> None:
    ask = Scripted(GO_ON, DENY) if when == "always" else Scripted(DENY)

    assert await run(service, store, spec(when=when), ask) is Verdict.ROLLED_BACK
    assert service.recorded[-1] == "rolled-back: gate: calendar denies: 403 frozen"


async def test_a_denial_may_hold_and_be_taken_back(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    ask = Scripted(DENY, DENY, GO_ON)

    assert await run(service, store, spec(denied="hold"), ask) is Verdict.PROMOTED
    assert "hold gate" in service.recorded


async def test_a_denial_counts_when_it_is_repeated(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    ask = Scripted(DENY, DENY, WAIT, DENY, DENY, GO_ON)

    assert await run(service, store, spec(denials=3), ask) is Verdict.PROMOTED


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        ("ignore", Verdict.PROMOTED),
        ("roll-back", Verdict.ROLLED_BACK),
        ("hold", Verdict.INCONCLUSIVE),
    ],
)
async def test_failures_are_bounded(
    service: SimulatedService, store: DirectoryStateStore, failed: str, verdict: Verdict
) -> None:
    plan = plan_of(0.0, 0.1, 1.0, deadline_seconds=400)
    ask = Scripted(GateFailed("connection refused"))

    assert await run(service, store, spec(failed=failed), ask, plan) is verdict
    if verdict is Verdict.ROLLED_BACK:
        reason = "gate: calendar failed 3 times: connection refused"
        assert service.recorded[-1] == f"rolled-back: {reason}"


async def test_a_gate_that_never_answers_holds_up_no_abort(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    async def hang(_: Question) -> GateAnswer:
        await asyncio.Event().wait()
        raise AssertionError

    async def abort() -> Script:
        yield lambda: "hold gate" in service.recorded
        await store.send_command(ControlCommand.ABORT)

    gate = spec(steps=["2"], timeout="10m")
    verdict = await service.during(run(service, store, gate, hang), abort())

    assert verdict is Verdict.ROLLED_BACK
    assert service.recorded[-1] == "rolled-back: aborted"


async def test_a_promotion_that_a_gate_never_lets_through_ends_at_the_deadline(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    plan = plan_of(0.0, 0.1, 1.0, deadline_seconds=600)

    verdict = await run(service, store, spec(when="promotion"), Scripted(WAIT), plan)

    assert verdict is Verdict.INCONCLUSIVE
    assert service.history == ["0", "1", "2", "0"]


async def test_a_gate_may_end_a_pause_of_the_plan(
    service: SimulatedService, store: DirectoryStateStore
) -> None:
    steps = [*PLAN.steps]
    steps[1] = dataclasses.replace(steps[1], conditions=StepConditions(pause=True))
    plan = dataclasses.replace(PLAN, steps=tuple(steps))

    verdict = await run(service, store, spec(resume=True), Scripted(WAIT, WAIT, GO_ON), plan)

    assert verdict is Verdict.PROMOTED
    assert "hold plan-pause" in service.recorded


@pytest.mark.parametrize(
    ("status", "answer"), [(200, Answer.GO_ON), (403, Answer.DENY), (500, Answer.WAIT)]
)
async def test_an_http_gate_is_sent_the_question(status: int, answer: Answer) -> None:
    bodies = []

    async def handle(request: web.Request) -> web.Response:
        bodies.append((await request.json(), request.headers["Authorization"]))
        return web.Response(text="because", status=status)

    app = web.Application()
    app.router.add_post("/gate", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    gate = HttpGate(url=f"http://127.0.0.1:{port}/gate", headers={"Authorization": "Bearer x"})
    async with ClientSession() as session:
        found = await http_gate(session, gate)({"step": "10"})
        await runner.cleanup()
        with pytest.raises(GateFailed, match="can't be asked"):
            await http_gate(session, gate)({"step": "10"})

    assert found == GateAnswer(answer, f"{status} because")
    assert bodies == [({"step": "10"}, "Bearer x")]


async def test_a_command_is_a_gate() -> None:
    ask = command_gate(["sh", "-c", 'read -r line; echo "got $line"; exit 100'])
    assert await ask({"step": "10"}) == GateAnswer(Answer.DENY, 'exit code 100 got {"step": "10"}')
    assert (await command_gate(["true"])({})).answer is Answer.GO_ON
    assert (await command_gate(["false"])({})).answer is Answer.WAIT
    with pytest.raises(GateFailed, match="no-such-program can't be run"):
        await command_gate(["no-such-program"])({})


async def test_a_command_is_killed_with_its_children_at_its_timeout(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def child() -> int:
        return int(pid.read_text().strip() or 0) if pid.exists() else 0

    ask = command_gate(["sh", "-c", f"sleep 600 & echo $! > {pid}; wait"])
    task = asyncio.ensure_future(ask({}))
    await eventually(child, what="the command")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await eventually(lambda: not is_running(child()), what="the end of the child")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"http": {"url": "https://a"}}, "exactly one of http, command, prometheus and compare"),
        ({"resume": True, "when": "always"}, "only a gate of steps can end pauses"),
        ({"command": None, "prometheus": {"query": "up"}}, "there is no bound"),
    ],
)
def test_a_mistake_in_a_gate_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanInvalid, match=message):
        spec(**fields)
