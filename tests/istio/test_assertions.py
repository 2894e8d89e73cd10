"""The files of assertions beside the rollouts hold, and the manifests differ as they should."""

from __future__ import annotations

from tests.docs.pages import ROOT
from tests.rollout.cli.cli_runner import call_test
from tests.rollout.envoy.envoy_binary import need_envoy
from tests.support.manifests import need_kustomize


def test_every_rollout_does_with_requests_what_its_file_says() -> None:
    need_envoy()
    need_kustomize()
    files = sorted(ROOT.glob("istio/*/routes.test.yaml"))

    result = call_test(*files)

    assert len(files) == 8
    assert result.code == 0, result.out + result.err
    # The routes of ../gateway stay beside those of the Gateway API, for another gateway.
    unreached = [line for line in result.out.splitlines() if "no assertion reaches" in line]
    assert len(unreached) == 2
