"""How a text is matched: one of exact, prefix and regular expression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final

# The same engine that Envoy matches with; it brings no types.
import re2  # type: ignore[import-untyped]
from pydantic import AfterValidator

from .part import Part, WrittenAs
from .refusals import Reason, refuse

#: What Istio's webhook takes.
MAX_REGEX_LENGTH: Final = 1024
_QUIET: Final = re2.Options()
_QUIET.log_errors = False


@dataclass(frozen=True, slots=True)
class Exact:
    """Matches one text."""

    value: str

    def matches(self, text: str) -> bool:
        return text == self.value


@dataclass(frozen=True, slots=True)
class Prefix:
    """Matches what begins so, in the middle of a path's segment too."""

    value: str

    def matches(self, text: str) -> bool:
        return text.startswith(self.value)


@dataclass(frozen=True, slots=True)
class Regex:
    """Matches the whole text, by RE2's rules."""

    pattern: str

    def matches(self, text: str) -> bool:
        return compile_regex(self.pattern).fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Present:
    """Matches any text: the header or parameter is there."""

    def matches(self, text: str) -> bool:  # noqa: ARG002 - one of a family
        return True


StringMatch = Exact | Prefix | Regex
ValueMatch = Exact | Prefix | Regex | Present


@lru_cache(maxsize=1024)
def compile_regex(pattern: str) -> Any:
    """Compile for RE2; raise ``re2.error`` for what it has not, lookaround and backreferences."""
    return re2.compile(pattern, _QUIET)


def check_regex(pattern: str) -> str:
    """Return the pattern, or refuse what RE2 or Istio would refuse."""
    if len(pattern) > MAX_REGEX_LENGTH:
        raise refuse(
            Reason.BAD_REGEX,
            f"the pattern has {len(pattern)} characters",
            f"Istio takes {MAX_REGEX_LENGTH} at most: split it, or match a prefix",
        )
    try:
        compile_regex(pattern)
    except re2.error as error:
        [said] = error.args
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise refuse(
            Reason.BAD_REGEX,
            f"RE2 refuses the pattern: {text}",
            "Envoy has no lookaround and no backreferences; say it without them",
        ) from None
    return pattern


Re2Pattern = Annotated[str, AfterValidator(check_regex)]


class Written(Part):
    """A match as it stands in the manifest."""

    exact: str | None = None
    prefix: str | None = None
    regex: Re2Pattern | None = None

    def chosen(self) -> StringMatch | None:
        """Return the one that is said, None if none is; refuse two, and an empty one."""
        said = [kind for kind in ("exact", "prefix", "regex") if getattr(self, kind) is not None]
        if len(said) > 1:
            raise refuse(
                Reason.MATCH_KINDS,
                f"{' and '.join(said)} at once: only one of them would count",
                "keep one of exact, prefix and regex",
            )
        if self.prefix == "" or self.regex == "":
            raise refuse(Reason.BAD_VALUE, f"the {said[0]} is empty", "say what it matches")
        if self.exact is not None:
            return Exact(self.exact)
        if self.prefix is not None:
            return Prefix(self.prefix)
        return None if self.regex is None else Regex(self.regex)


def _check_or_star(pattern: str) -> str:
    return pattern if pattern == "*" else check_regex(pattern)


class WrittenValue(Written):
    """A header's or parameter's match: "*" stands for its presence."""

    regex: Annotated[str, AfterValidator(_check_or_star)] | None = None


def _one(written: Written) -> StringMatch:
    match = written.chosen()
    if match is None:
        raise refuse(
            Reason.MATCH_KINDS, "the match says nothing", "give one of exact, prefix and regex"
        )
    return match


def _value(written: WrittenValue) -> ValueMatch:
    match = written.chosen()
    return Present() if match is None or match == Regex("*") else match


#: Of a path, a method, a host: exactly one kind.
Match = Annotated[Exact | Prefix | Regex, WrittenAs(Written, _one)]
#: Of a header or a query parameter: an empty one asks for its presence.
HeaderMatch = Annotated[Exact | Prefix | Regex | Present, WrittenAs(WrittenValue, _value)]
