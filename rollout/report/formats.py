"""Format numbers and times for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

#: E-values above this are all equally convincing.
MAX_E_VALUE: Final = 1e6


def count(number: int, noun: str = "") -> str:
    """Format 12345 as 12,345; with the noun "request" as 12,345 requests."""
    plural = "" if number == 1 else "s"
    return f"{number:,} {noun}{plural}" if noun else f"{number:,}"


def percent(ratio: float) -> str:
    """Format 0.0512 as 5.1 %, with two or three digits; a ratio above 0 never becomes 0 %."""
    value = ratio * 100
    if value == 0 or value >= 99.95:
        return f"{value:.0f}\u00a0%"
    if value >= 10:
        return f"{value:.3g}\u00a0%"
    return f"{value:.2g}\u00a0%" if value >= 0.01 else "<\u00a00.01\u00a0%"


def ratio(part: int, whole: int) -> str:
    """Format part / whole as a percentage, or as "no data" if ``whole`` is 0."""
    return percent(part / whole) if whole else "no data"


def duration(seconds: float) -> str:
    """Format 252 as 4 min 12 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\u00a0s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}\u00a0min" + (f"\u00a0{rest}\u00a0s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours}\u00a0h" + (f"\u00a0{minutes}\u00a0min" if minutes else "")


def elapsed(seconds: float) -> str:
    """Format 252 as 4:12."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def milliseconds(value: float) -> str:
    """Format 0.8, 12, 1500 as 0.8 ms, 12 ms, 1.5 s."""
    if value >= 1000:
        return f"{value / 1000:.3g}\u00a0s"
    return f"{value:.2g}\u00a0ms" if value < 100 else f"{value:.0f}\u00a0ms"


def e_value(value: float) -> str:
    """Format an e-value with two digits, or with all from 100 on: < 0.01, 0.3, 14, 2,300, > 1e6."""
    if value >= MAX_E_VALUE:
        return ">\u00a01e6"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value >= 0.01 else "<\u00a00.01"


def timestamp(time: float) -> str:
    """Format Unix time as 2026-11-20 15:53:25 UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
