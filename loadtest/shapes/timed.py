"""Shapes that follow a curve for ``--run-time``, up to ``--users``."""

from __future__ import annotations

from locust import LoadTestShape

from .curves import Curve


class TimedShape(LoadTestShape):
    """Follows a curve."""

    abstract = True
    use_common_options = True

    def __init__(self, curve: Curve, users: int, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._curve = curve
        self._users = users
        self._seconds = seconds

    def tick(self) -> tuple[int, float] | None:
        over = self.get_run_time() / self._seconds  # type: ignore[no-untyped-call]
        if over >= 1:
            return None
        users = max(1, round(self._users * self._curve(over)))
        # At once: the curve says how fast.
        return users, float(self._users)
