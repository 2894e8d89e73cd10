"""Matching of strings: exact, by prefix, by regular expression, or by presence.

Istio's StringMatch: https://istio.io/latest/docs/reference/config/networking/virtual-service/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final

# Envoy uses the same regular expression engine. The package has no type annotations.
import re2  # type: ignore[import-untyped]
from pydantic import AfterValidator

from .field_errors import Reason, field_error
from .strict_model import ConvertedFrom, StrictModel

#: The limit of Istio's webhook, in characters.
MAX_REGEX_LENGTH: Final = 1024
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
_QUIET: Final = re2.Options()
_QUIET.log_errors = False


@dataclass(frozen=True, slots=True)
class Exact:
    """Matches this string only."""

    value: str

    def matches(self, text: str) -> bool:
        return text == self.value


@dataclass(frozen=True, slots=True)
class Prefix:
    """Matches strings with this prefix, even one that ends inside a segment of a path."""

    value: str

    def matches(self, text: str) -> bool:
        return text.startswith(self.value)


@dataclass(frozen=True, slots=True)
class Regex:
    """Matches strings of which the whole matches this RE2 pattern."""

    pattern: str

    def matches(self, text: str) -> bool:
        return compile_regex(self.pattern).fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Present:
    """Matches any value of a header or query parameter that is present."""

    def matches(self, text: str) -> bool:  # noqa: ARG002 - the signature of the other matches
        return True


def quote(text: str) -> str:
    """Return a pattern for RE2 that matches this text only, as Go's QuoteMeta writes it."""
    return _SPECIAL.sub(r"\\\g<0>", text)


StringMatch = Exact | Prefix | Regex
ValueMatch = Exact | Prefix | Regex | Present


@lru_cache(maxsize=1024)
def compile_regex(pattern: str) -> Any:
    """Compile a pattern for RE2; raise ``re2.error``, for lookaround and backreferences too."""
    return re2.compile(pattern, _QUIET)


def _check_regex(pattern: str) -> str:
    """Return the pattern; raise a field error if RE2 or Istio would reject it."""
    if len(pattern) > MAX_REGEX_LENGTH:
        raise field_error(
            Reason.BAD_REGEX,
            f"the pattern has {len(pattern)} characters; Istio accepts {MAX_REGEX_LENGTH}",
            "split the pattern, or match a prefix",
        )
    try:
        compile_regex(pattern)
    except re2.error as error:
        [reason] = error.args
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise field_error(
            Reason.BAD_REGEX,
            f"RE2 rejects the pattern: {text}",
            "correct the pattern; RE2 has no lookaround and no backreferences",
        ) from None
    return pattern


Re2Pattern = Annotated[str, AfterValidator(_check_regex)]


class StringMatchManifest(StrictModel):
    """A string match as it is written in a manifest."""

    exact: str | None = None
    prefix: str | None = None
    regex: Re2Pattern | None = None

    def to_match(self) -> StringMatch | None:
        """Return the match, None if no field is set; raise a field error for two."""
        kinds = [kind for kind in ("exact", "prefix", "regex") if getattr(self, kind) is not None]
        if len(kinds) > 1:
            raise field_error(
                Reason.MATCH_KINDS,
                f"the match has {' and '.join(kinds)}, but Istio accepts only one of them",
                "keep one of exact, prefix and regex",
            )
        if self.regex == "":
            raise field_error(Reason.BAD_VALUE, "the regex is empty", "set what it matches")
        if self.exact is not None:
            return Exact(self.exact)
        if self.prefix is not None:
            return Prefix(self.prefix)
        return None if self.regex is None else Regex(self.regex)


def _check_regex_or_star(pattern: str) -> str:
    return pattern if pattern == "*" else _check_regex(pattern)


class HeaderMatchManifest(StringMatchManifest):
    """The match of a header or query parameter; the regex "*" means that it is present."""

    regex: Annotated[str, AfterValidator(_check_regex_or_star)] | None = None


def _string_match(written: StringMatchManifest | None) -> StringMatch | None:
    return None if written is None else written.to_match()


def _header_match(written: HeaderMatchManifest) -> ValueMatch:
    match = written.to_match()
    return Present() if match is None or match == Regex("*") else match


def _origin_match(written: StringMatchManifest) -> StringMatch:
    match = written.to_match()
    if match is None or match in (Exact(""), Prefix("")):
        raise field_error(
            Reason.MATCH_KINDS, "the match is empty", "set one of exact, prefix and regex"
        )
    return match


#: For a path, a method or a host. None, like an empty mapping, matches everything.
StringMatchField = Annotated[
    Exact | Prefix | Regex | None, ConvertedFrom(StringMatchManifest, _string_match)
]
#: For an origin of a cross-origin request: exactly one of the fields is set, and not empty.
OriginMatchField = Annotated[
    Exact | Prefix | Regex, ConvertedFrom(StringMatchManifest, _origin_match)
]
#: For a header or a query parameter: an empty match means that it is present.
HeaderMatchField = Annotated[
    Exact | Prefix | Regex | Present, ConvertedFrom(HeaderMatchManifest, _header_match)
]
