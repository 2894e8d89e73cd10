"""Watches: GETs whose client accepts ``text/event-stream``."""

from __future__ import annotations

from aiohttp import hdrs, web
from multidict import istr

from ..domain.watching import Subject
from ..telemetry.trace import TRACE
from .bodies import ListEntriesQuery, ListQuery, NoQuery, WatchEntriesQuery, WatchQuery
from .context import STORE
from .event_queue import EventQueue
from .event_stream import EventStream
from .header_lists import list_elements
from .requests import counter_of, key_of, read_query
from .watchers import WATCHERS

LAST_EVENT_ID = istr("Last-Event-ID")
_EVENTS = "text/event-stream"


def wants_events(request: web.Request) -> bool:
    """Return True if the client names ``text/event-stream`` in Accept."""
    if _EVENTS not in request.headers.get(hdrs.ACCEPT, "").lower():
        return False
    names = [element.partition(";")[0].strip() for element in list_elements(request, hdrs.ACCEPT)]
    return request.method == hdrs.METH_GET and _EVENTS in map(str.lower, names)


def check_entries(request: web.Request) -> None:
    """Raise QueryInvalid if the query is none of a listing or, if that is wanted, a watch."""
    read_query(request, WatchEntriesQuery if wants_events(request) else ListEntriesQuery)


def check_counters(request: web.Request) -> None:
    """As check_entries."""
    read_query(request, WatchQuery if wants_events(request) else ListQuery)


def entry_subject(request: web.Request) -> Subject:
    """Return the entry of ``/v1/kv/{key}``. Raises KeyInvalid, KeyTooLong."""
    return Subject(key_of(request).text, is_counter=False, is_prefix=False)


def counter_subject(request: web.Request) -> Subject:
    """Return the counter of ``/v1/counters/{name}``. Raises CounterNameInvalid."""
    return Subject(counter_of(request).text, is_counter=True, is_prefix=False)


async def watch_entry(request: web.Request) -> EventStream:
    read_query(request, NoQuery)
    return await _watch(request, entry_subject(request))


async def watch_entries(request: web.Request) -> EventStream:
    query = read_query(request, WatchEntriesQuery)
    subject = Subject(
        query.prefix, is_counter=False, is_prefix=True, with_values=query.include == "value"
    )
    return await _watch(request, subject)


async def watch_counter(request: web.Request) -> EventStream:
    read_query(request, NoQuery)
    return await _watch(request, counter_subject(request))


async def watch_counters(request: web.Request) -> EventStream:
    query = read_query(request, WatchQuery)
    return await _watch(request, Subject(query.prefix, is_counter=True, is_prefix=True))


async def _watch(request: web.Request, subject: Subject) -> EventStream:
    watchers = request.app[WATCHERS]
    last_id = request.headers.get(LAST_EVENT_ID, "")[:256]
    queue = EventQueue(
        watchers.metrics,
        watchers.budget,
        max_bytes=watchers.max_bytes,
        with_values=subject.with_values,
        is_prefix=subject.is_prefix,
        last_id=last_id,
    )
    watchers.add(queue, TRACE.get().caller)
    try:
        end = await request.app[STORE].watch(subject, queue, last_id if subject.is_prefix else "")
    except BaseException:
        watchers.remove(queue, "refused")
        raise

    def close() -> None:
        queue.end("client_left")
        end()
        queue.clear()
        watchers.remove(queue, queue.ended)

    return EventStream(queue, watchers.metrics, close)
