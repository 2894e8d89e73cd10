"""A rule of the store's model test: changes of counters under a precondition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from svc.domain.errors import CounterMissing, PreconditionFailed
from svc.domain.model import Added, CounterName, Increment, Precondition, counter_etag
from tests.svc.contract.store_model import Model, names


class ConditionsOnCounters:
    """Part of StoreAgainstDict, which has the two attributes."""

    model: Model
    call: Callable[..., Any]

    @rule(
        name=names,
        change=st.sampled_from(["add", "set", "delete"]),
        tag=st.sampled_from(["current", "other", "*"]),
        wanted=st.booleans(),
    )
    def change_counter_if(self, name: CounterName, change: str, tag: str, wanted: bool) -> None:
        value, _ = self.model.counters.get(name, (None, None))
        tags = {"*": "*", "other": '"x"', "current": counter_etag(value or 0)}
        condition = (tags[tag],)
        precondition = Precondition(condition) if wanted else Precondition(None, condition)
        holds = (value is not None and tag != "other") is wanted

        if change == "add":
            outcome = self.call("add", name, Increment(-1), None, precondition)
        elif change == "set":
            outcome = self.call("set_counter", name, 7, None, None, precondition)
        else:
            outcome = self.call("delete_counter", name, None, precondition)

        if change == "delete" and value is None:
            assert isinstance(outcome, CounterMissing)
        elif not holds:
            assert isinstance(outcome, PreconditionFailed)
            assert outcome.etag == (None if value is None else counter_etag(value))
        elif change == "add":
            expected = self.model.step(name, Increment(-1))
            assert expected == (outcome.value if isinstance(outcome, Added) else outcome.slug)
        elif change == "set":
            assert outcome == (value, False)
            self.model.counters[name] = (7, None)
        else:
            assert outcome is False
            del self.model.counters[name]
