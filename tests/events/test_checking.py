"""Parsed lines become records line by line; what makes an entity known is checked before what names it."""

from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from tests.events.home import NOW_US, Home

from flyball.events import IMPORTED, BadLine, Event, EventBatch, Parsed, Record, Ref, Schema
from flyball.events.checking import LineChecker
from flyball.events.lines import MAX_LINE
from flyball.testing.movie_events import Watch, movie_schema

SCHEMA = movie_schema()
AGO_US = NOW_US - 5_000_000


class Written:
    """A parser that knows what its lines are; `seen`: what it was given."""

    def __init__(self, *batches: EventBatch, bad: Sequence[BadLine] = ()) -> None:
        self.batches, self.bad = list(batches), list(bad)
        self.seen: list[bytes] = []

    def parse(self, lines: Sequence[bytes]) -> Parsed:
        self.seen = list(lines)
        return Parsed(self.batches, self.bad, frozenset({"extra"}))

    def header(self) -> bytes:
        return b""


def watch(index: Sequence[int], at: Sequence[int | None], minutes: Sequence[Any] = (3,), **options: Any) -> EventBatch:
    """Watches of user 7, one on each line of `index`."""
    n = len(index)
    columns = [[7] * n, ["up"] * n, [minutes[row % len(minutes)] for row in range(n)]]
    return EventBatch("watch", ("user", "film", "minute"), columns, at, index, **options)


def joined(index: Sequence[int], users: Sequence[int], at: int | None = AGO_US) -> EventBatch:
    return EventBatch("joined", ("user",), [list(users)], [at] * len(index), index)


def viewer(index: Sequence[int], users: Sequence[int], at: int | None) -> EventBatch:
    return EventBatch("viewer", ("user",), [list(users)], [at] * len(index), index)


def users(records: Sequence[Record | None]) -> list[str | None]:
    return [None if record is None else f"{record.type} {record.key}" for record in records]


def history(**options: Any) -> LineChecker:
    return LineChecker(SCHEMA, None, "history", **options)


def live(**options: Any) -> LineChecker:
    return LineChecker(SCHEMA, None, "live", **options)


def test_records_lie_at_their_lines_with_none_for_what_is_no_event() -> None:
    parser = Written(watch([5, 1], [AGO_US, AGO_US + 1]), joined([3], [9]), bad=[BadLine(4, "decode", "?")])
    checked = history().check(parser, [b"x"] * 6, NOW_US)
    assert users(checked.records) == [None, "watch 7", None, "joined 9", None, "watch 7"]
    assert [record.at for record in checked.records if record is not None] == [AGO_US + 1, AGO_US, AGO_US]
    assert (checked.bad, checked.ignored) == ([BadLine(4, "decode", "?")], frozenset({"extra"}))


def test_rejections_are_reported_at_their_lines_in_order_with_their_type() -> None:
    parser = Written(
        watch([4, 0, 2], [AGO_US] * 3, minutes=[2_001, 5, "x"]), joined([3], [0]), bad=[BadLine(1, "decode", "?")]
    )
    checked = history().check(parser, [b"x"] * 5, NOW_US)
    assert [(bad.index, bad.reason, bad.type) for bad in checked.bad] == [
        (1, "decode", ""),
        (2, "wrong_type", "watch"),
        (3, "out_of_range", "joined"),
        (4, "out_of_range", "watch"),
    ]
    assert users(checked.records) == ["watch 7", None, None, None, None]


@pytest.mark.parametrize(("length", "is_long"), [(MAX_LINE - 1, False), (MAX_LINE, False), (MAX_LINE + 1, True)])
def test_a_line_beyond_the_limit_is_never_parsed(length: int, is_long: bool) -> None:
    parser, line = Written(), b"y" * length
    checked = history().check(parser, [b"x", line], NOW_US)
    assert parser.seen == [b"x", b"" if is_long else line]
    assert [(bad.index, bad.reason) for bad in checked.bad] == ([(1, "too_long")] if is_long else [])


def test_only_lines_of_the_types_that_a_sender_may_send_are_taken() -> None:
    bad = [BadLine(1, "decode", "?"), BadLine(4, "bad_time", "!", "watch"), BadLine(5, "bad_time", "!", "joined")]
    parser = Written(watch([0, 6], [AGO_US] * 2, minutes=[3, "x"]), joined([2, 3], [9, 0]), bad=bad)
    checked = live(types=("watch",)).check(parser, [b"x"] * 7, NOW_US)
    assert users(checked.records) == ["watch 7", None, None, None, None, None, None]
    assert [(wrong.index, wrong.reason, wrong.type) for wrong in checked.bad] == [
        (1, "not_allowed", ""),
        (2, "not_allowed", "joined"),
        (3, "not_allowed", "joined"),
        (4, "bad_time", "watch"),
        (5, "not_allowed", "joined"),
        (6, "wrong_type", "watch"),
    ]
    assert checked.bad[0].detail == "event type must be watch, got none that can be read: ?"
    assert checked.bad[1].detail == "event type must be watch, got joined"
    everything = live(types=("joined", "watch")).check(parser, [b"x"] * 7, NOW_US)
    assert [wrong.index for wrong in everything.bad] == [1, 3, 4, 5, 6]


def test_a_type_that_a_sender_may_send_keeps_its_former_name() -> None:
    class Tap(Event):
        former_names = ("Click",)
        user: Annotated[int, Ref("user")]

    schema = Schema([Tap])
    parser = Written(EventBatch("tap", ("user",), [[7]], [AGO_US], [0]))
    for types, taken in ((("click",), True), (("tap",), True), (("removed",), False)):
        checked = LineChecker(schema, None, "live", types=types).check(parser, [b"x"], NOW_US)
        assert (checked.records[0] is not None) == taken, types


def test_no_lines_are_nothing() -> None:
    checked = history().check(Written(), [], NOW_US)
    assert (checked.records, checked.bad) == ([], [])


@pytest.mark.parametrize("lag_us", [0, 1, 86_400_000_000])
def test_history_is_known_its_lag_after_it_happened_live_events_now(lag_us: int) -> None:
    (past,) = history(lag_us=lag_us).check(Written(watch([0], [AGO_US])), [b"x"], NOW_US).records
    (now,) = live().check(Written(watch([0], [AGO_US])), [b"x"], NOW_US).records
    assert past is not None
    assert now is not None
    assert (past.at, past.known_at, past.flags & IMPORTED) == (AGO_US, AGO_US + lag_us, IMPORTED)
    assert (now.at, now.known_at, now.flags & IMPORTED) == (AGO_US, NOW_US, 0)


def test_without_a_time_live_is_now_a_profile_of_history_is_since_ever_another_event_is_refused() -> None:
    batches = watch([0], [None]), viewer([1], [7], None)
    by_mode = {}
    for checker in (live(), history()):
        checked = checker.check(Written(*batches), [b"x"] * 2, NOW_US)
        times = [None if record is None else record.at for record in checked.records]
        by_mode[checker.mode] = (times, [(bad.index, bad.reason) for bad in checked.bad])
    assert by_mode == {"live": ([NOW_US, NOW_US], []), "history": ([None, 0], [(0, "bad_time")])}


def test_of_a_batch_only_the_lines_without_a_time_get_one() -> None:
    checked = live().check(Written(watch([0, 1], [AGO_US, None])), [b"x"] * 2, NOW_US)
    assert [record.at for record in checked.records if record is not None] == [AGO_US, NOW_US]


@pytest.mark.parametrize("ahead_us", [0, SCHEMA.future_us, SCHEMA.future_us + 1])
def test_nothing_may_lie_further_ahead_than_the_schema_says(ahead_us: int) -> None:
    """Neither live, nor as history, nor where ages do not count."""
    for checker in (live(), live(ages=False), history()):
        checked = checker.check(Written(watch([0], [NOW_US + ahead_us])), [b"x"], NOW_US)
        reasons = [bad.reason for bad in checked.bad]
        assert reasons == (["future"] if ahead_us > SCHEMA.future_us else []), checker
        assert [record is None for record in checked.records] == [bool(reasons)]


def test_only_live_events_may_be_too_old_and_only_where_ages_count() -> None:
    schema = Schema([Watch], oldest_us=1_000)
    for age_us, reasons in ((1_000, []), (1_001, ["too_old"])):
        for mode, ages, expected in (("live", True, reasons), ("live", False, []), ("history", True, [])):
            checker = LineChecker(schema, None, mode, ages=ages)  # type: ignore[arg-type]
            checked = checker.check(Written(watch([0], [NOW_US - age_us])), [b"x"], NOW_US)
            assert [bad.reason for bad in checked.bad] == expected, (mode, ages, age_us)


def test_what_makes_an_entity_known_counts_for_other_lines_though_it_comes_after_them(tmp_path: Any) -> None:
    home = Home(tmp_path)
    home.ingest('{"type": "viewer", "user": 1}\n', "jsonl")
    checker = LineChecker(home.schema, home.catalog, "history")
    parser = Written(
        EventBatch("watch", ("user", "film", "minute"), [[8, 9, 1], ["up"] * 3, [3] * 3], [AGO_US] * 3, [0, 1, 2]),
        viewer([3], [9], AGO_US),
    )
    records = checker.check(parser, [b"x"] * 4, NOW_US).records
    unknown = {record.key: record.flags & ~IMPORTED for record in records if record is not None}
    assert unknown == {"8": 1, "9": 0, "1": 0}
    again = checker.check(Written(watch([0], [AGO_US])), [b"x"], NOW_US).records
    assert [record.flags & 1 for record in again if record is not None] == [1], "checking makes nothing known"
    home.close()


def test_a_reject_of_what_would_make_an_entity_known_makes_nothing_known(tmp_path: Any) -> None:
    home = Home(tmp_path)
    home.ingest('{"type": "viewer", "user": 1}\n', "jsonl")
    checker = LineChecker(home.schema, home.catalog, "history")
    late = NOW_US + home.schema.future_us + 1
    parser = Written(viewer([0], [7], late), watch([1], [AGO_US]))
    checked = checker.check(parser, [b"x"] * 2, NOW_US)
    assert users(checked.records) == [None, "watch 7"]
    assert checked.records[1] is not None
    assert checked.records[1].flags & 1 == 1
    home.close()
