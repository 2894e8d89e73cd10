"""The embedded store: a redis-server that runs as a child process of the service.

May import: parent_death_signal.
"""

from .binary import EmbeddedUnavailable
from .process import EmbeddedRedis

__all__ = ["EmbeddedRedis", "EmbeddedUnavailable"]
