"""Properties of keys: each valid key can be written, read and listed, however it is escaped."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.svc.api.client import Api

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0/")
nasty = st.sampled_from(
    ["%FF", "%2F", "a*", "[x]", "{t}", "+", "é", "e\u0301", "\\", "\n", "~", "?"]
)
segments = st.one_of(st.text(characters, min_size=1, max_size=12), nasty).filter(
    lambda segment: segment not in {".", ".."}
)
keys = st.lists(segments, min_size=1, max_size=5).map("/".join)


@given(key=keys, body=st.binary(max_size=64), data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_key_round_trips(api: Api, key: str, body: bytes, data: st.DataObject) -> None:
    flags = data.draw(st.lists(st.booleans(), min_size=1, max_size=8))
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+*{}[]"
    mixed = "".join(
        chr(byte) if byte in plain and flags[i % len(flags)] else f"%{byte:02X}"
        for i, byte in enumerate(key.encode())
    )

    written = await api.put(f"/v1/kv/{quote(key)}", body)

    assert written.json()["key"] == key
    assert (await api.get(f"/v1/kv/{mixed}")).body == body
    assert key in await api.keys(quote(key, safe=""))
    assert (await api.delete(f"/v1/kv/{quote(key, safe='')}")).status == 204
    assert key not in await api.keys(quote(key, safe=""))
