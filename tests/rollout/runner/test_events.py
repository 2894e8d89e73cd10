"""An event is one line of JSON: it can be read back, and other lines are refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.evidence.counts import Counts
from rollout.runner.events import (
    LARGEST,
    Event,
    EventKind,
    EventsInvalid,
    EvidenceValues,
    parse_event,
    render_event,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
e_values = st.floats(0, LARGEST)
text = st.text(st.characters(codec="utf-8"))
counts = st.builds(
    Counts,
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.lists(st.integers(0, 10**12)).map(tuple),
)
evidence = st.builds(
    EvidenceValues,
    harm=e_values,
    harm_errors=e_values,
    harm_slow=st.lists(e_values).map(tuple),
    merit=e_values,
    breach=e_values,
    mismatch=e_values,
)
events = st.builds(
    Event,
    time=finite,
    rollout=text,
    kind=st.sampled_from(EventKind),
    step=st.none() | text,
    number=st.none() | st.integers(0, 100),
    share=st.none() | st.floats(0, 1),
    since=st.none() | finite,
    until=st.none() | finite,
    stable=st.none() | counts,
    canary=st.none() | counts,
    evidence=st.none() | evidence,
    thresholds=st.none() | evidence,
    reason=text,
    detail=text,
)


@given(events)
def test_every_event_is_one_line_and_reads_back_the_same(event: Event) -> None:
    line = render_event(event)

    assert line.count("\n") == 1
    assert parse_event(line) == event


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{}", "time: Field required"),
        ("nope", "Invalid JSON"),
        ('{"time":"1","rollout":"kv","kind":"step"}', "time: Input should be a valid number"),
        ('{"time":1,"rollout":"kv","kind":"vanished"}', "kind: Input should be 'started'"),
        ('{"time":1,"rollout":"kv","kind":"step","stop":1}', "stop: Unexpected"),
        ('{"time":1,"rollout":"kv","kind":"step","share":2}', "share: 2.0 is not between"),
        ('{"time":1e999,"rollout":"kv","kind":"step"}', "time: inf is not a finite number"),
        ('{"time":1,"rollout":"kv","kind":"step","stable":{"requests":1}}', "stable.failures"),
        ('{"time":1,"rollout":"kv","kind":"step","evidence":{"harm":-1}}', "harm: -1.0 is no e-v"),
    ],
)
def test_what_is_no_event_is_refused_by_field(line: str, says: str) -> None:
    with pytest.raises(EventsInvalid) as refused:
        parse_event(line)

    assert says in str(refused.value)


def test_an_infinite_e_value_is_written_as_the_largest_float() -> None:
    values = EvidenceValues(mismatch=math.inf, harm_slow=(math.inf,))

    assert (values.mismatch, values.harm_slow) == (LARGEST, (LARGEST,))
    with pytest.raises(ValueError, match="merit: nan is no e-value"):
        EvidenceValues(merit=math.nan)
