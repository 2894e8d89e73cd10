"""The checks of commands that can't run: each finds what does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.unrun import Checker


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        "python -m bench.nothing",
        "tallykv-rollout rehearse istio/canary --nothing",
        "tallykv serve --nothing",
        "tallykv nothing --port 1",
        "kubectl apply -k kustomize/overlays/nothing",
        "kubectl apply -k istio/canary",
        "cat docs/nothing.md",
        "KV_NOTHING=1 make run",
        "pip install '.[nothing]'",
        "true && make nothing",
        "unshare sh -c '\ntrue' &\nmake nothing",
    ],
)
def test_what_does_not_exist_is_found(command: str, tmp_path: Path) -> None:
    assert len(Checker(tmp_path).problems_of(command)) == 1


@pytest.mark.parametrize(
    "command",
    [
        "make test ARGS='-k idempotency -x'",
        "KV_TRACK=canary python -m svc serve --workers 2 &",
        "tallykv-rollout rehearse istio/canary --step 10 --serve",
        "kubectl apply -k kustomize/overlays/dev   # on a laptop",
        "ls istio/*/README.md build/anything",
    ],
)
def test_what_exists_is_no_problem(command: str, tmp_path: Path) -> None:
    assert Checker(tmp_path).problems_of(command) == []
