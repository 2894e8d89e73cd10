"""People are told of each event once, over restarts too, and a failing receiver holds nothing."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rollout.plan.notify_spec import NotifySpec
from rollout.plan.plan_file import PlanInvalid, parse_plan_file
from rollout.runner.events import Event, EventKind
from rollout.runner.notifications import Notifier
from tests.rollout.cli.cli_process import killed_when
from tests.rollout.cli.cli_runner import Cluster, call
from tests.rollout.cli.example_service import TIMES, ExampleService, write_rollout


@contextlib.contextmanager
def receiving() -> Iterator[tuple[int, list[tuple[str, dict[str, Any]]]]]:
    """Yield a port, and the paths and documents that were posted to it."""
    received: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, name="receiver")
    thread.start()
    try:
        yield http.server_port, received
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


# One of Apprise's plugins imports it.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_each_event_is_told_once_over_kills_and_a_failing_receiver_holds_nothing(
    cluster: Cluster,
    service: ExampleService,
    tmp_path: Path,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as (port, received):
        monkeypatch.setenv("KV_TEST_RECEIVER", f"127.0.0.1:{port}")
        notify = (
            "notify:\n"
            f"  - {{webhook: 'http://127.0.0.1:{port}/hook'}}\n"
            "  - {url: 'json://${KV_TEST_RECEIVER}/apprise', events: [step],"
            " title: '{rollout} goes to {step}', body: '{share} of {namespace}'}\n"
            # Nobody listens there.
            "  - {webhook: 'http://127.0.0.1:1/', events: [started]}\n"
        )
        plan = write_rollout(tmp_path / "told", service.namespace, TIMES + notify)
        hook = [*cluster.run(plan, state)]
        code = killed_when(tmp_path, cluster.server, lambda: service.share == 50, *hook)
        assert code == -signal.SIGKILL

        for _ in range(2):
            assert call(*hook).code == 0

    kinds = [each["kind"] for path, each in received if path == "/hook"]
    assert sorted(kinds) == ["promoted", "started", "step", "step"]
    assert len({each["id"] for path, each in received if path == "/hook"}) == 4
    said = [(each["title"], each["message"]) for path, each in received if path != "/hook"]
    assert ("told goes to 100", f"100 % of {service.namespace}") in said


async def test_a_webhook_gets_the_kind_of_the_plan_and_people_get_its_words() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []

    async def send(title: str, _: str, document: dict[str, Any]) -> None:
        sent.append((title, document))

    notifier = Notifier("kv", [(NotifySpec(webhook="http://localhost/"), send)])
    notifier.post_event(Event(time=1, rollout="kv", kind=EventKind.ROLLED_BACK), "key")
    await notifier.close()

    (title, document), *more = sent
    assert (title.strip(), document["kind"], more) == ("kv: rolled back", "rolled_back", [])


def test_a_template_with_an_unknown_field_is_refused() -> None:
    notify = [{"webhook": "http://localhost/", "title": "{weather}"}]

    with pytest.raises(PlanInvalid, match="the template can't be filled: 'weather'"):
        parse_plan_file({"notify": notify}, "plan.yaml")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_service_that_is_not_known_is_refused(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    text = f"{TIMES}notify: [{{url: 'nosuchservice://x'}}]\n"
    plan = write_rollout(tmp_path / "told", service.namespace, text)

    run = call(*cluster.run(plan, state))

    assert run.code == 2
    assert "notify: a url of the plan is wrong: Apprise knows no service for it" in run.err
