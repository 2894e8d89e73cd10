"""What the results of a batch say when it is sent again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from svc.api.bodies import Problem
from svc.client.batch import Batch, run_batch
from svc.client.errors import Error, OutcomeUnknown, Unavailable
from svc.client.exchange import Answer, NoAnswer
from svc.domain.errors import Applied
from tests.svc.client.scripted import LOST, UNSENT, Network, answer

ADDED = {"status": 200, "name": "n", "value": 1, "value_text": "1", "applied_by": 1}


def failed(status: int, code: str, applied: Applied) -> dict[str, Any]:
    problem = Problem("t", status, "d", code, applied, retryable=True)
    return msgspec.to_builtins(problem)  # type: ignore[no-any-return]


def results(*each: Any) -> Answer:
    return answer(200, {"results": each})


REFUSED = failed(503, "store_unavailable", "no")
UNKNOWN = failed(504, "outcome_unknown", "unknown")


@pytest.mark.parametrize(
    ("lost", "applied"), [(UNSENT, "no"), (LOST, "unknown")], ids=["refused", "lost"]
)
def test_a_second_try_that_fails_takes_no_result_back(lost: NoAnswer, applied: str) -> None:
    batch = Batch()
    done, failing = batch.increment("n"), batch.increment("m")
    network = Network(deadline_seconds=5.0)

    with pytest.raises(Error) as caught:
        network.run(run_batch(batch, network.policy), [results(ADDED, REFUSED), lost])

    assert done.result().value == 1
    with pytest.raises(Error) as caught_each:
        failing.result()
    assert caught_each.value.applied == applied
    assert caught.value.applied == "unknown"  # to one of them, it was


@pytest.mark.parametrize("later", [results(ADDED, REFUSED), UNSENT], ids=["answered", "unsent"])
def test_an_unknown_outcome_stays_unknown_until_the_store_has_looked(later: Any) -> None:
    batch = Batch()
    batch.increment("n")
    failing = batch.increment("m")
    network = Network(deadline_seconds=5.0)

    try:
        network.run(run_batch(batch, network.policy), [results(ADDED, UNKNOWN), later])
    except Unavailable:
        assert later is UNSENT

    with pytest.raises((OutcomeUnknown, Unavailable)) as caught:
        failing.result()
    assert caught.value.applied == "unknown"


def test_a_batch_that_runs_again_has_new_results() -> None:
    batch = Batch()
    only = batch.increment("n")
    network = Network(deadline_seconds=5.0)
    network.run(run_batch(batch, network.policy), [results(ADDED)])

    with pytest.raises(Unavailable):
        network.run(run_batch(batch, network.policy), [UNSENT])

    with pytest.raises(Unavailable):
        only.result()
