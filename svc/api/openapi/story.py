"""The examples of all operations, as one story: each is sent after those before it. Pure.

ETags, ids and trace ids differ each time. The test that sends the examples takes the ETag of an
answer for that of the example wherever it comes again.
"""

from __future__ import annotations

from typing import Final

from .story_counters import COUNTER_STORY
from .story_entries import ENTRY_STORY
from .story_others import OTHER_STORY

STORY: Final = (*ENTRY_STORY, *COUNTER_STORY, *OTHER_STORY)
