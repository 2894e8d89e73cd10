"""The comparison of outputs: what may differ, and what may not."""

from __future__ import annotations

import pytest

from tests.docs.outputs import OutputDiffers, Outputs

ONE, OTHER = "1d0a874ef1c01dc21ee0000000000001", "1d0a874ef1c01dc21ee0000000000002"


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        (f'{{"etag":"{ONE}"}}', f'{{"etag":"{OTHER}"}}'),
        ("Date: Fri, 20 Nov 2026 10:37:24 GMT", "Date: Sat, 21 Nov 2026 00:00:00 GMT"),
        ('{"ttl":60}', '{"ttl":59}'),
        ("tallykv 0.1.0 serves", "tallykv 1.2.3 serves"),
        ("first\n…\nlast", "first\n1\n2\nlast"),
        ("first\n…\nlast", "first\nlast"),
        ("took … s", "took 1.5 s"),
        ("", "\n"),
    ],
)
def test_what_differs_from_run_to_run_is_equal(shown: str, actual: str) -> None:
    Outputs().compare(shown, actual)


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ('{"value":1}', '{"value":2}'),
        ('{"ttl":60}', '{"ttl":61}'),
        ("a", "a\nb"),
        ("took … s", "took\n1 s"),
        (f"{ONE} {ONE}", f"{ONE} {OTHER}"),
        ("", "a"),
    ],
)
def test_what_is_wrong_is_found(shown: str, actual: str) -> None:
    with pytest.raises(OutputDiffers):
        Outputs().compare(shown, actual)


def test_an_id_is_the_same_on_the_whole_page() -> None:
    outputs = Outputs()
    outputs.compare(f"etag {ONE}", f"etag {OTHER}")

    with pytest.raises(OutputDiffers, match=ONE):
        outputs.compare(f"again {ONE}", f"again {ONE}")


def test_an_output_that_goes_on_has_to_begin_as_shown() -> None:
    Outputs().compare("first", "first\nsecond", is_complete=False)
