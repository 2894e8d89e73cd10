"""Arguments are parsed strictly, and a mistake is named with the right way to write it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from rollout.cli.arguments import (
    parse_address,
    parse_command,
    parse_pod_count,
    parse_port,
    parse_rate,
    parse_request,
    parse_seconds,
    parse_variable,
)
from tests.rollout.cli.cli_runner import call

NO_CLUSTER: Final = ["--prometheus", "http://127.0.0.1:1", "--kubeconfig", "/nowhere/kubeconfig"]


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (parse_seconds, "1m30s", 90.0),
        (parse_seconds, "250ms", 0.25),
        (parse_rate, "0", 0.0),
        (parse_rate, "2.5", 2.5),
        (parse_variable, "KV_FAULT_ERROR_RATIO=0.05", ("KV_FAULT_ERROR_RATIO", "0.05")),
        (parse_variable, "A=b=c", ("A", "b=c")),
        (parse_variable, "A=", ("A", "")),
        (parse_pod_count, "3", 3),
        (parse_port, "0", 0),
        (parse_port, "9090", 9090),
        (parse_address, "9300", ("127.0.0.1", 9300)),
        (parse_address, ":9300", ("127.0.0.1", 9300)),
        (parse_address, "all.example:0", ("all.example", 0)),
        (parse_address, "[::1]:9300", ("::1", 9300)),
        (parse_command, "python -m 'my service' $PORT", ("python", "-m", "my service", "$PORT")),
    ],
)
def test_a_value_is_read(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (parse_seconds, "90", '"90" is not a duration; write it like 1h, 1m, 1s or 1ms'),
        (parse_seconds, "-1s", '"-1s" is not a duration'),
        (parse_rate, "fast", "0 to 10000 requests per second"),
        (parse_rate, "-1", "is no rate"),
        (parse_rate, "nan", "is no rate"),
        (parse_rate, "1e9", "is no rate"),
        (parse_variable, "A", "write it as NAME=value"),
        (parse_variable, "=b", "write it as NAME=value"),
        (parse_variable, "A B=c", "write it as NAME=value"),
        (parse_pod_count, "0", "1 to 20"),
        (parse_pod_count, "21", "1 to 20"),
        (parse_pod_count, "two", "is no number of pods"),
        (parse_port, "65536", "is no port"),
        (parse_port, "-1", "is no port"),
        (parse_command, "python '", "No closing quotation"),
        (parse_command, " ", "the command is empty"),
        (parse_request, "get /", '"get /" is no request: write it as "GET /path"'),
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
    refused = call(*arguments)

    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize("name", ["rehearse", "run"])
def test_the_exit_codes_are_in_the_help(name: str) -> None:
    result = call(name, "--help")

    assert result.code == 0
    for code in ("0 promoted", "1 rolled back", "3 inconclusive", "130 interrupted", "143"):
        assert code in result.out
