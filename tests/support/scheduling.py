"""Which tests run on which process of pytest-xdist, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

#: Files whose tests share nothing that is slow to start: each test may run on any process.
APART: Final = frozenset({"tests/bench/evidence/test_short_form.py", "tests/docs/test_commands.py"})
PAGES: Final = "tests/docs/test_commands.py::test_the_commands_of_a_page_do_what_it_shows"
#: What takes longest begins first, so that no process works at it when the others have ended.
#: A file, or a test of a file that is apart.
LONGEST: Final = (
    "tests/svc/api/openapi/test_fuzzing.py",
    f"{PAGES}[docs/tutorial/first-rollout.md]",
    f"{PAGES}[docs/how-to/rehearse-your-service.md]",
    "tests/packaging/test_wheels.py",
    "tests/rollout/judge/test_comparisons.py",
    "tests/rollout/cli/test_rehearse_manifests.py",
    "tests/rollout/cli/test_backtest.py",
    "tests/rollout/cli/test_rehearse.py",
    "tests/svc/stores/test_embedded_states.py",
    "tests/rollout/cli/test_run.py",
    "tests/svc/faults/test_garbage.py",
    "tests/svc/faults/test_late_changes.py",
    "tests/bench/memory/test_memory.py",
    f"{PAGES}[docs/how-to/write-a-plan.md]",
    "tests/rollout/cli/test_rehearse_gateway_api.py",
    "tests/rollout/cli/test_rehearse_controllers.py",
    "tests/rollout/forecast/test_forecast.py",
    "tests/grafana/test_rules.py",
    "tests/svc/test_secrets.py",
    "tests/docs/test_site.py",
    "tests/svc/telemetry/test_process_log.py",
    "tests/rollout/runner/test_controller.py",
    "tests/rollout/cli/test_run_several_objects.py",
    "tests/svc/faults/test_redis_paused.py",
    "tests/rollout/judge/test_flagger.py",
    "tests/rollout/cli/test_caller_arguments.py",
    "tests/svc/faults/test_byte_budget.py",
    "tests/svc/stores/test_embedded_refusals.py",
    "tests/svc/telemetry/test_sampling.py",
    "tests/loadtest/test_agreement.py",
    "tests/loadtest/test_load.py",
    "tests/rollout/judge/test_argo.py",
    "tests/grafana/test_live_pair.py",
    "tests/svc/ui",
    "tests/bench/evidence/test_short_form.py",
    "tests/svc/serving/test_workers_faults.py",
    "tests/svc/telemetry/test_flush.py",
    "tests/bench/faults/test_real_faults.py",
    PAGES,
    "tests/svc/serving/test_http_dialects.py",
    "tests/svc/api/test_listing.py",
    "tests/svc/faults/test_watches.py",
    "tests/svc/serving/test_stop_order.py",
    "tests/istio",
    "tests/rollout/rehearsal",
    "tests/svc/serving",
    "tests/svc/contract/test_store_model.py",
    "tests/rollout/gateway_api",
    "tests/loadtest",
    "tests/svc/telemetry",
    "tests/svc/stores",
)


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Files at once, as with ``--dist loadfile``; those that are APART test by test."""

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        return nodeid if file in APART else file


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the files of these tests: those of LONGEST, then those with the most tests."""
    tests = Counter(file_of(item.nodeid) for item in items)
    items.sort(key=lambda item: (_place(item.nodeid), -tests[file_of(item.nodeid)]))


def _place(nodeid: str) -> int:
    found = (place for place, begin in enumerate(LONGEST) if nodeid.startswith(begin))
    return next(found, len(LONGEST))
