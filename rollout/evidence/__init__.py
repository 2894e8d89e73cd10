"""What observed requests prove of a release, however often and whenever one looks: pure."""

from .objective import Objective
from .verdicts import Evidence

__all__ = ["Evidence", "Objective"]
