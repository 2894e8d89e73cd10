"""The file that Locust loads: the users of all profiles, and the recorder of a run."""

from __future__ import annotations

import sys
from pathlib import Path

from locust import events

# Locust adds the directory of this file to the path, and does not know its package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtest.recorder import install
from loadtest.users.batch import Batch
from loadtest.users.counters import HotCounter, SpreadCounters
from loadtest.users.entries import Entries
from loadtest.users.listing import Listing
from loadtest.users.plain import Plain
from loadtest.users.tasks import Tasks

__all__ = ["Batch", "Entries", "HotCounter", "Listing", "Plain", "SpreadCounters", "Tasks"]

install(events)
