"""Flags are read strictly, and what is wrong with one is said with how to write it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from rollout.cli.arguments import count, port, rate, seconds, variable, words
from tests.rollout.cli.running import called

NO_CLUSTER: Final = ["--prometheus", "http://127.0.0.1:1", "--kubeconfig", "/nowhere/kubeconfig"]


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (seconds, "1m30s", 90.0),
        (seconds, "250ms", 0.25),
        (rate, "0", 0.0),
        (rate, "2.5", 2.5),
        (variable, "KV_FAULT_ERROR_RATIO=0.05", ("KV_FAULT_ERROR_RATIO", "0.05")),
        (variable, "A=b=c", ("A", "b=c")),
        (variable, "A=", ("A", "")),
        (count, "3", 3),
        (port, "0", 0),
        (port, "9090", 9090),
        (words, "python -m 'my service' $PORT", ("python", "-m", "my service", "$PORT")),
    ],
)
def test_a_value_is_read(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (seconds, "90", '"90" is not a duration; write it like 1h, 1m, 1s or 1ms'),
        (seconds, "-1s", '"-1s" is not a duration'),
        (rate, "fast", "0 to 10000 requests a second"),
        (rate, "-1", "is no rate"),
        (rate, "nan", "is no rate"),
        (rate, "1e9", "is no rate"),
        (variable, "A", "write it as NAME=value"),
        (variable, "=b", "write it as NAME=value"),
        (variable, "A B=c", "write it as NAME=value"),
        (count, "0", "1 to 20"),
        (count, "21", "1 to 20"),
        (count, "two", "is no number of pods"),
        (port, "65536", "is no port"),
        (port, "-1", "is no port"),
        (words, "python '", "No closing quotation"),
        (words, " ", "the command is empty"),
    ],
)
def test_a_mistake_is_named(read: Callable[[str], Any], text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(said)):
        read(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rehearse"], "the following arguments are required: PLAN"),
        (["rehearse", "p", "--rate", "many"], 'argument --rate: "many" is no rate'),
        (["rehearse", "p", "--until", "noon"], "argument --until: invalid choice: 'noon'"),
        (["run", "p"], "the following arguments are required: --prometheus"),
        (["run", "p", *NO_CLUSTER, "--metrics", "mine"], "argument --metrics: invalid choice"),
        (["status", "p", "--format", "xml"], "argument --format: invalid choice"),
        (["promote", "p"], "invalid choice: 'promote'"),
        ([], "required: COMMAND"),
    ],
)
def test_an_unknown_flag_or_value_leaves_with_2(arguments: list[str], said: str) -> None:
    refused = called(*arguments)

    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize("name", ["rehearse", "run"])
def test_the_exit_codes_are_in_the_help(name: str) -> None:
    told = called(name, "--help")

    assert told.code == 0
    for code in ("0 promoted", "1 rolled back", "3 inconclusive", "130 interrupted", "143"):
        assert code in told.out
