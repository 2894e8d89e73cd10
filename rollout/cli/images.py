"""The argument ``--image``: which images a run gives the canary's containers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from ..plan.model import Plan
from .exit_codes import UsageError


def add_image_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--image``; ``images_of`` uses it."""
    parser.add_argument(
        "--image",
        dest="images",
        metavar="[CONTAINER=]REPO:TAG",
        type=parse_image,
        action="append",
        default=[],
        help="image of the new release (repeatable, one for each container); only for a plan with"
        " workloads",
    )


def parse_image(text: str) -> tuple[str, str]:
    """Parse ``REPO:TAG`` or ``CONTAINER=REPO:TAG``; the container is "" if none is named."""
    container, equals, image = text.rpartition("=")
    name = image.rpartition("/")[2]
    if (equals and not container) or not any(mark in name for mark in ":@"):
        raise argparse.ArgumentTypeError(
            f'"{text}" is no image: write REPO:TAG, REPO@DIGEST or CONTAINER=REPO:TAG'
        )
    return container, image


def images_of(plan: Plan, images: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Return the images by container; raise UsageError if the plan has no workloads to change."""
    if images and plan.workloads is None:
        raise UsageError(
            "--image: the plan does not name its Deployments; add workloads to plan.yaml"
        )
    return dict(images)
