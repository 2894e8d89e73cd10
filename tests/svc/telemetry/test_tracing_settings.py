"""The ``OTEL_*`` variables: what enables tracing, what is sampled, what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.telemetry.settings import SAMPLERS, TracingSettingInvalid, TracingSettings, load_tracing
from tests.support.instrumented_service import traceparent
from tests.support.otlp import Collector
from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.services import ROOT
from tests.svc.telemetry.process_log import logged_process

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
ON: Final = {ENDPOINT: "http://127.0.0.1:4318"}


def loaded(**environ: str) -> TracingSettings:
    tracing = load_tracing({**ON, **environ})
    assert tracing is not None
    return tracing


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {ENDPOINT: ""},
        {**ON, "OTEL_SDK_DISABLED": "true"},
        {**ON, "OTEL_SDK_DISABLED": " TRUE "},
        {**ON, "OTEL_TRACES_EXPORTER": "none"},
        {**ON, "OTEL_SDK_DISABLED": "true", "OTEL_TRACES_SAMPLER": "nonsense"},
    ],
)
def test_nothing_is_traced_unless_there_is_somewhere_to_send_it(environ: dict[str, str]) -> None:
    assert load_tracing(environ) is None


@pytest.mark.parametrize(
    "environ",
    [
        ON,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"},
        {**ON, "OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "otlp"},
        {**ON, "OTEL_TRACES_SAMPLER": "", "OTEL_TRACES_SAMPLER_ARG": ""},
        {**ON, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_BSP_MAX_QUEUE_SIZE": ""},
        {**ON, "OTEL_PROPAGATORS": "tracecontext, baggage"},
    ],
)
def test_with_a_collector_one_in_a_hundred_is_sampled_unless_its_caller_decided(
    environ: dict[str, str],
) -> None:
    assert load_tracing(environ) == TracingSettings(
        ratio=0.01, parent_based=True, max_queue_size=2048
    )


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("always_on", "0.5", (1.0, False)),
        ("always_off", "0.5", (0.0, False)),
        ("traceidratio", "0.5", (0.5, False)),
        ("traceidratio", "", (1.0, False)),
        ("parentbased_always_on", "", (1.0, True)),
        ("parentbased_always_off", "", (0.0, True)),
        ("parentbased_traceidratio", "0.25", (0.25, True)),
        ("parentbased_traceidratio", "", (1.0, True)),
        ("", "0.25", (0.25, True)),
    ],
)
def test_each_of_the_specifications_samplers_is_known(
    name: str, argument: str, expected: tuple[float, bool]
) -> None:
    tracing = loaded(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG=argument)

    assert (tracing.ratio, tracing.parent_based) == expected


@given(ratio=st.floats(0, 1))
def test_any_ratio_is_taken_to_the_last_digit(ratio: float) -> None:
    assert loaded(OTEL_TRACES_SAMPLER_ARG=repr(ratio)).ratio == ratio


REFUSED: Final = [
    ("OTEL_TRACES_SAMPLER", "sometimes"),
    ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"),
    ("OTEL_TRACES_SAMPLER_ARG", "half"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.1"),
    ("OTEL_TRACES_SAMPLER_ARG", "-0.1"),
    ("OTEL_TRACES_SAMPLER_ARG", "nan"),
    ("OTEL_TRACES_SAMPLER_ARG", "inf"),
    ("OTEL_TRACES_EXPORTER", "jaeger"),
    ("OTEL_PROPAGATORS", "b3"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(TracingSettingInvalid, match=f"^{name}: "):
        load_tracing({**ON, name: value})


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_without_tracing_the_variable_is_not_checked(name: str, value: str) -> None:
    assert load_tracing({name: value, "OTEL_SDK_DISABLED": "true"}) is None


def test_the_samplers_are_the_specifications_six() -> None:
    from opentelemetry.sdk.trace import sampling

    assert set(SAMPLERS) == set(sampling._KNOWN_SAMPLERS)


def test_a_process_says_what_it_refuses_and_ends() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "svc", "serve"],
        cwd=ROOT,
        env={**os.environ, **ON, "OTEL_TRACES_SAMPLER_ARG": "half"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert answer.returncode == 2
    assert answer.stderr == (
        "tallykv: OTEL_TRACES_SAMPLER_ARG: 'half' is not a ratio from 0 to 1\n"
    )


@pytest.mark.parametrize(
    ("environ", "traced"),
    [
        ({}, True),
        ({"OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: ""}, False),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
        ({"KV_TELEMETRY": "off"}, False),
    ],
)
def test_a_process_sends_spans_if_it_is_told_to(
    shared_redis: RedisServer, collector: Collector, environ: dict[str, str], traced: bool
) -> None:
    chosen = {ENDPOINT: collector.endpoint, **environ}
    with logged_process(KV_STORE_URL=shared_redis.url, **chosen) as service:
        sent = traceparent(1)["traceparent"]
        assert fetch(f"{service.base}/v1/limits", traceparent=sent).status == 200
        assert service.end() == 0

    assert bool(collector.spans) is traced
    assert bool(collector.uploads) is traced


def test_without_tracing_the_sdk_is_not_imported() -> None:
    program = (
        "import sys, svc.serve_command\n"
        "from svc.app import build_signals\n"
        "from svc.settings import Settings\n"
        "build_signals(Settings())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert said.stdout == "[]\n"
