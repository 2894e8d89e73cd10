"""Generated ``traceparent`` headers: valid, almost valid, and arbitrary."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

_HEX: Final = "0123456789abcdef"
_ANY: Final = st.characters(codec="latin-1", exclude_characters="\r\n\0")


def _hexes(digits: int) -> st.SearchStrategy[str]:
    return st.text(_HEX, min_size=digits, max_size=digits)


def _ids(digits: int) -> st.SearchStrategy[str]:
    return st.one_of(
        _hexes(digits),
        st.sampled_from(("0" * digits, "0" * (digits - 1) + "1", "f" * digits, "A" * digits)),
        st.integers(0, digits + 2).flatmap(_hexes),
    )


@st.composite
def _assembled(draw: st.DrawFn) -> str:
    version = draw(st.sampled_from(("00", "00", "00", "01", "cc", "fe", "ff", "FF", "0")))
    flags = draw(st.one_of(_hexes(2), st.sampled_from(("00", "01", "02", "03", "0", "0A", "011"))))
    more = draw(st.sampled_from(("", "", "", "", "-", "-what-the-future-brings", "-\t", "x")))
    before, after = (draw(st.sampled_from(("", "", "", " ", "\t ", "\v"))) for _ in range(2))
    ids = f"{draw(_ids(32))}-{draw(_ids(16))}"
    return f"{before}{version}-{ids}-{flags}{more}{after}"


@st.composite
def _mangled(draw: st.DrawFn) -> str:
    header = draw(_assembled())
    at = draw(st.integers(0, max(0, len(header) - 1)))
    cut, put = draw(st.integers(0, 1)), draw(st.text(_ANY, max_size=2))
    return header[:at] + put + header[at + cut :]


def parents() -> st.SearchStrategy[str]:
    """Valid headers, with any flags."""
    nonzero = [_hexes(digits).filter(lambda text: set(text) != {"0"}) for digits in (32, 16)]
    return st.builds("00-{}-{}-{}".format, *nonzero, _hexes(2))


def traceparents() -> st.SearchStrategy[str | None]:
    """Any value of the header, or None."""
    return st.one_of(st.none(), parents(), _assembled(), _mangled(), st.text(_ANY, max_size=80))
