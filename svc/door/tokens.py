"""The tokens file: one line for each token, which the file does not hold itself. Pure.

``ID sha256:HEX SCOPES [expires=TIME] [keys=PREFIXES] [counters=PREFIXES] [rates=RATES]``; scopes,
prefixes and rates are separated by commas, prefixes percent-encoded. With one of the two kinds of
prefixes and without the other, the token covers nothing of the other kind. Empty lines and those
that begin with # are comments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from ..domain.access import ANY, SCOPES, Grant, Scope
from ..domain.limits import Rate, parse_rates

#: What a token begins with, so that scanners of leaked secrets can find it.
MARK: Final = "tkv"
NEVER: Final = float("inf")

_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_OPTIONS: Final = ("expires", "keys", "counters", "rates")
#: Characters of a prefix that stay readable in the file.
_SAFE: Final = "/:@!$&'()*+;=~"


class TokensInvalid(ValueError):
    """The file can't be used. The message names the line, and repeats nothing of it."""


class Token(msgspec.Struct, frozen=True):
    """A token as the file has it. ``expires`` is seconds since the epoch."""

    grant: Grant
    digest: bytes
    expires: float = NEVER


def parse_tokens(text: str) -> dict[str, Token]:
    """Return the tokens by their id. Raises TokensInvalid."""
    tokens: dict[str, Token] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            token = parse_line(line)
            if token.grant.id in tokens:
                raise TokensInvalid("another line has the same id")  # noqa: TRY301
        except TokensInvalid as error:
            raise TokensInvalid(f"line {number}: {error}") from None
        tokens[token.grant.id] = token
    return tokens


def parse_line(line: str) -> Token:
    """Parse the line of one token. Raises TokensInvalid."""
    words = line.split()
    if len(words) < 3:
        raise TokensInvalid("it must have an id, sha256:HEX and scopes")
    name, hashed, scopes, *rest = words
    if not _ID.fullmatch(name):
        raise TokensInvalid("the id must be 1 to 64 letters, digits, dots and hyphens")
    found = _HASH.fullmatch(hashed)
    if found is None:
        raise TokensInvalid("the second word must be sha256: and 64 lower-case hex digits")
    options = dict(word.partition("=")[::2] for word in rest)
    if len(options) < len(rest) or not options.keys() <= set(_OPTIONS):
        raise TokensInvalid(f"each option must be one of {', '.join(_OPTIONS)}, and only once")
    is_limited = "keys" in options or "counters" in options
    grant = Grant(
        name,
        parse_scopes(scopes),
        _prefixes(options.get("keys"), is_limited=is_limited),
        _prefixes(options.get("counters"), is_limited=is_limited),
        _rates(options.get("rates")),
    )
    return Token(grant, bytes.fromhex(found[1]), _expiry(options.get("expires")))


def parse_scopes(text: str) -> frozenset[Scope]:
    """Return the scopes of a comma-separated list. Raises TokensInvalid."""
    scopes = frozenset(scope for scope in SCOPES if scope in text.split(","))
    if len(scopes) < len(set(text.split(","))):
        raise TokensInvalid(f"the scopes must be a comma-separated choice of {', '.join(SCOPES)}")
    return scopes


def _prefixes(text: str | None, *, is_limited: bool) -> tuple[str, ...]:
    if text is None:
        return () if is_limited else ANY
    try:
        prefixes = tuple(unquote(part, errors="strict") for part in text.split(","))
    except UnicodeDecodeError:
        raise TokensInvalid("a prefix is not UTF-8") from None
    if "" in prefixes:
        raise TokensInvalid("an empty prefix covers everything: leave the option out")
    return prefixes


def _rates(text: str | None) -> dict[str, Rate | None]:
    try:
        return {} if text is None else parse_rates(text)
    except ValueError as error:
        raise TokensInvalid(f"rates must be {error}") from None


def _expiry(text: str | None) -> float:
    if text is None:
        return NEVER
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise TokensInvalid("expires must be a time such as 2030-01-31T12:00:00Z") from None
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()


def quoted(prefix: str) -> str:
    """Return the prefix as the file has it."""
    return quote(prefix, safe=_SAFE)


def render_time(seconds: float) -> str:
    """Return the time as RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def digest_of(token: str) -> bytes:
    """Hash a token. It has 256 random bits, so a hash that is fast is as good as a slow one."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def id_in(token: str) -> str:
    """Return the id that the token names; "" if it has not the form of one."""
    parts = token.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == MARK else ""


def find_token(tokens: Mapping[str, Token], text: str) -> Token | None:
    """Return the token that the client sent, if it is one of these, expired or not."""
    token = tokens.get(id_in(text))
    digest = digest_of(text)
    # The id is no secret, so what tells it apart may. The rest takes the same time for each text.
    return token if token is not None and compare_digest(token.digest, digest) else None
