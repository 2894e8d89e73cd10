"""Asks a gate over HTTP: 200 goes on, 403 denies, every other answer waits."""

from __future__ import annotations

import json
from typing import Final

import aiohttp

from ..plan.gate_spec import HttpGate
from .gates import Answer, AskGate, GateAnswer, GateFailed, Question

_MAX_BYTES: Final = 200
_ANSWERS: Final = {200: Answer.GO_ON, 403: Answer.DENY}


def http_gate(session: aiohttp.ClientSession, gate: HttpGate) -> AskGate:
    """Return the function that asks a gate; the begin of its answer is the detail."""

    async def ask(question: Question) -> GateAnswer:
        body = json.dumps(question).encode() if gate.method == "POST" else None
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            async with session.request(
                gate.method,
                gate.url,
                data=body,
                headers={**headers, **gate.headers},
                allow_redirects=False,
            ) as response:
                said = (await response.content.read(_MAX_BYTES)).decode(errors="replace").strip()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise GateFailed(f"can't be asked: {error or type(error).__name__}") from error
        detail = f"{response.status} {said}".strip()
        return GateAnswer(_ANSWERS.get(response.status, Answer.WAIT), detail)

    return ask
