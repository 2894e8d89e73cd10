"""Generated texts that may be keys, and the rules for keys."""

from __future__ import annotations

from hypothesis import strategies as st

from svc.domain.errors import DomainError, KeyInvalid, KeyTooLong

#: Texts near the limits of the rules: segments, dots, NUL, invalid UTF-8, and the length.
texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(st.sampled_from(["a", ".", "..", "", "é", "\0", "...", "-", "\ud800", "*"])).map(
        "/".join
    ),
    st.integers(500, 520).map(lambda size: "k" * size),
    st.integers(250, 260).map(lambda size: "é" * size),
)


def expected_error(text: str) -> type[DomainError] | None:
    """Apply the rules of the documented contract."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return KeyInvalid
    if len(raw) > 512:
        return KeyTooLong
    if b"\0" in raw or any(part in {"", ".", ".."} for part in text.split("/")):
        return KeyInvalid
    return None
