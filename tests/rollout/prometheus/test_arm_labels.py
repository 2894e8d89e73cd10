"""Labels of the releases, found in their manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollout.plan.derived_plan import load_derived_plan
from rollout.plan.loading import LoadedPlan, load_plan
from rollout.prometheus.promql import build_promql
from rollout.prometheus.query import ReleaseLabel, istio_query
from rollout.prometheus.release_label import arms_of, services_of_plan, version_of
from tests.rollout.cli.example_service import write_rollout
from tests.rollout.plan.manifests import routes, service, with_services, write


def test_a_release_s_version_is_that_of_its_pods_labels(tmp_path: Path) -> None:
    loaded = load_plan(str(write_rollout(tmp_path / "rollout", "shop")))

    assert version_of(loaded, "stable") == "1.4.0"
    assert version_of(loaded, "canary") == "1.5.0"
    assert version_of(loaded, "purple") is None


@pytest.fixture
def services(tmp_path: Path) -> LoadedPlan:
    """Return a plan whose releases are Services."""
    texts = with_services(routes(service("reviews-v1", 1), service("reviews-v2", 0)))
    mesh = write(tmp_path / "mesh", texts)
    return load_derived_plan(mesh, stable="reviews-v1", canary="reviews-v2")


def test_releases_that_are_services_have_the_label_of_the_service(services: LoadedPlan) -> None:
    assert arms_of(services, "istio") == ReleaseLabel(
        "destination_service_name", "reviews-v1", "reviews-v2"
    )
    assert arms_of(services, "app") == ReleaseLabel("version", "v1", "v2")
    assert version_of(services, "reviews-v2") == "v2"


@pytest.mark.parametrize("named", [None, ReleaseLabel("destination_workload", "v1", "v2")])
def test_both_services_are_queried(services: LoadedPlan, named: ReleaseLabel | None) -> None:
    found = services_of_plan(services.plan)
    label = named or arms_of(services, "istio")

    text = build_promql(istio_query([each.name for each in found], found[0].namespace, label))

    assert 'destination_service_name=~"reviews-v1|reviews-v2"' in text
    assert 'destination_service_name="' not in text
