"""What observed requests prove of a release, however often and whenever one looks: pure."""

from .evidence import Evidence
from .objective import Objective

__all__ = ["Evidence", "Objective"]
