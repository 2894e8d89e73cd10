"""Tokens for a service under test: a file of them, and the header that shows one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from svc.door.tokens import MARK, digest_of


def text_of(name: str) -> str:
    """Return the token of this id; the same each time, and like a random one to the service."""
    return f"{MARK}_{name}_{digest_of(name).hex()}"


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text_of(name)}"}


def line_of(name: str, rest: str) -> str:
    """Return the line of the token with this id; ``rest`` are scopes and options."""
    return f"{name} sha256:{digest_of(text_of(name)).hex()} {rest}"


def write_tokens(path: Path, tokens: Mapping[str, str]) -> Path:
    """Write the file. ``tokens`` are the rests of the lines by id."""
    path.write_text("".join(line_of(name, rest) + "\n" for name, rest in tokens.items()))
    return path
