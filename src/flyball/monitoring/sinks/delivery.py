"""Delivers stored notifications to sinks: each at least once, in order, with growing pauses while a sink fails.

What was delivered is stored after each message, so a crash may send the last one again and loses none. A sink that
fails stops only itself; its error is stored, and shown until it works again.
"""

from collections.abc import Sequence

import msgspec

from flyball.core import FlyballError, counted_units, format_second
from flyball.monitoring.incidents.notification import Notification
from flyball.monitoring.sinks.sink import NamedSink
from flyball.registry import Registry, changing_incidents, incident_documents

_FIRST_US, _LONGEST_US = 1_000_000, 300_000_000
_GIVEN_UP_US = 3 * 86_400_000_000
"""How long one message is tried: a sink that refuses it for ever must not hold back all others."""
_NEWS_US = 86_400_000_000
"""How old a message may be for a sink that is new."""
_AT_ONCE = 20


class SinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a sink does. `delivered`: the number of the last message it got, or that was not for it; `delivered_us`:
    when; `attempts`: failed ones in a row; `due_us`: when the next one is; `failing_since_us`: 0 while it works;
    `error`: of the last attempt; `skipped`: messages given up; `waiting`: how many it has still to get, when read."""

    name: str
    delivered: int = 0
    delivered_us: int = 0
    attempts: int = 0
    due_us: int = 0
    failing_since_us: int = 0
    error: str = ""
    skipped: int = 0
    waiting: int = 0


def deliver(registry: Registry, sinks: Sequence[NamedSink], now_us: int) -> list[str]:
    """Send what is due; a line for each sink that begins to fail, gives a message up, or works again.

    Raises `StoreUnavailable` where the registry cannot be read. The time that sinks take is not part of `now_us`.
    """
    stored = _stored(registry)
    lines: list[str] = []
    for named in sinks:
        status = stored.get(named.address.name) or _new(registry, named.address.name, now_us)
        lines += _deliver_to(registry, named, status, now_us)
    return lines


def sink_statuses(registry: Registry, names: Sequence[str] = ()) -> list[SinkStatus]:
    """How these sinks do, by default all that ever got a message."""
    stored = _stored(registry)
    newest = registry.database.rows("SELECT number FROM notifications ORDER BY number DESC LIMIT 1")
    last = newest[0]["number"] if newest else 0
    statuses = [stored.get(name) or SinkStatus(name=name) for name in (names or stored)]
    return [msgspec.structs.replace(status, waiting=max(0, last - status.delivered)) for status in statuses]


def try_sink(named: NamedSink, app: str, now_us: int) -> str:
    """Send a test message; what is wrong, "" for nothing."""
    test = Notification(
        kind="closed",
        app=app,
        at_us=now_us,
        title=f"test of {app}: this sink works",
        severity="high",
        incident="test",
        since_us=now_us,
        over=True,
    )
    try:
        named.sink.send(test)
    except Exception as error:
        return str(error) if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
    return ""


def failing_words(status: SinkStatus) -> str:
    """What is wrong with a sink, in a line; "" for nothing."""
    if not status.failing_since_us:
        return ""
    waiting = f", {counted_units(status.waiting, 'message')} wait" if status.waiting else ""
    return f"sink {status.name} fails since {format_second(status.failing_since_us)}{waiting}: {status.error}"


def _stored(registry: Registry) -> dict[str, SinkStatus]:
    documents = incident_documents(registry, "sinks")
    return {document["name"]: msgspec.convert(document, SinkStatus) for document in documents}


def _new(registry: Registry, name: str, now_us: int) -> SinkStatus:
    """The status of a new sink, stored: it gets the messages of the last day and all to come, and none before."""
    old = registry.database.rows(
        "SELECT MAX(number) AS last FROM notifications WHERE at_us < :at", at=now_us - _NEWS_US
    )
    status = SinkStatus(name=name, delivered=old[0]["last"] or 0)
    _store(registry, status)
    return status


def _deliver_to(registry: Registry, named: NamedSink, status: SinkStatus, now_us: int) -> list[str]:
    if now_us < status.due_us:
        return []
    last = status.delivered
    between = "number > :last AND number <= :most"
    waiting = incident_documents(registry, "notifications", between, last=last, most=last + _AT_ONCE)
    lines = []
    for document in waiting:
        notification = msgspec.convert(document, Notification)
        try:
            if named.wants(notification):
                named.sink.send(notification)
        except Exception as error:  # whatever a sink raises stops that sink alone
            status, line = _failed(status, notification, error, now_us)
            lines += line
            _store(registry, status)
            break
        lines += [f"sink {status.name} works again"] if status.failing_since_us else []
        status = SinkStatus(
            name=status.name, delivered=notification.number, delivered_us=now_us, skipped=status.skipped
        )
        _store(registry, status)
    return lines


def _failed(
    status: SinkStatus, notification: Notification, error: Exception, now_us: int
) -> tuple[SinkStatus, list[str]]:
    words = str(error) if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
    since_us = status.failing_since_us or now_us
    if now_us - max(since_us, notification.at_us) >= _GIVEN_UP_US:
        given_up = msgspec.structs.replace(
            status, delivered=notification.number, attempts=0, skipped=status.skipped + 1, error=words, due_us=now_us
        )
        return given_up, [f"sink {status.name} gave up on message {notification.number}: {words}"]
    pause_us = min(_FIRST_US * 2 ** min(status.attempts, 20), _LONGEST_US)
    after = msgspec.structs.replace(
        status, attempts=status.attempts + 1, due_us=now_us + pause_us, failing_since_us=since_us, error=words
    )
    return after, [] if status.failing_since_us else [f"sink {status.name} fails: {words}"]


def _store(registry: Registry, status: SinkStatus) -> None:
    with changing_incidents(registry) as rows:
        rows.put("sinks", status.name, status, delivered=status.delivered)
