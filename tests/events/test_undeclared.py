"""What a log holds that no class declares any more is named and counted: whole types, and fields of a class."""

from pathlib import Path
from typing import Any

from tests.events.growing import User, declare

from flyball.events import DeclaredLog, Event, EventLog, Schema, Undeclared, count_undeclared, open_log, undeclared
from flyball.testing.log_contract import PlainLog

AT = 1_700_000_000_000_000


def home(tmp_path: Path, *written: tuple[type[Event], int, dict[str, Any]]) -> EventLog:
    """A log into which so many events of each class were written, one declaration after the other."""
    url, n = f"sqlite://{tmp_path}/events.db?partitions=4", 0
    for cls, events, fields in written:
        log = DeclaredLog(open_log(url), Schema([cls]))
        for _ in range(events):
            n += 1
            log.append([log.schema.check(cls.__name__.lower(), {"user": n, **fields}, AT + n, AT + n)])
        log.close()
    return open_log(url)


RATE = declare("Rate", user=User, stars=int, seconds=int)
LOOK = declare("Look", user=User)


def test_nothing_is_undeclared_where_all_is_declared(tmp_path: Path) -> None:
    log = home(tmp_path, (RATE, 3, {"stars": 4, "seconds": 9}))
    wider = declare("Rate", user=User, seconds=float, stars=int, device=(str | None, None))
    assert count_undeclared(log, Schema([wider, LOOK])) == []
    assert undeclared(Schema([wider]).after(log.schemas.stored())) == []


def test_a_type_without_a_class_is_counted_and_says_former_names(tmp_path: Path) -> None:
    log = home(tmp_path, (RATE, 7, {"stars": 4, "seconds": 9}), (LOOK, 5, {}))
    (lost,) = count_undeclared(log, Schema([LOOK]))
    assert (lost.type, lost.field, lost.events) == ("rate", "", 7)
    assert lost.text().startswith("event type rate, 7 events:")
    assert 'former_names = ("rate",)' in lost.text()
    rating = declare("Rating", former=("Rate",), user=User, stars=int, seconds=int)
    assert count_undeclared(log, Schema([LOOK, rating])) == []


def test_a_lost_field_is_counted_over_all_declarations_that_had_it(tmp_path: Path) -> None:
    without = declare("Rate", user=User, stars=int)
    again = declare("Rate", user=User, stars=float, seconds=(int, 0))
    log = home(
        tmp_path,
        (RATE, 2, {"stars": 4, "seconds": 9}),
        (without, 3, {"stars": 1}),
        (again, 4, {"stars": 1.5, "seconds": 8}),
        (LOOK, 5, {}),
    )
    now = declare("Rate", user=User, stars=float, length=(int, 0))
    (lost,) = count_undeclared(log, Schema([now, LOOK]))
    assert lost == Undeclared("rate", "seconds", "Rate", ("length",), 6)
    assert '(perhaps length), say there fb.renamed("seconds")' in lost.text()
    assert undeclared(Schema([now, LOOK]).after(log.schemas.stored())) == [
        Undeclared("rate", "seconds", "Rate", ("length",))
    ]


def test_a_type_and_a_field_go_by_their_last_names(tmp_path: Path) -> None:
    renamed_class = declare("Score", former=("Rate",), user=User, stars=int, seconds=int)
    log = home(tmp_path, (RATE, 2, {"stars": 4, "seconds": 9}), (renamed_class, 3, {"stars": 4, "seconds": 9}))
    (lost,) = count_undeclared(log, Schema([LOOK]))
    assert (lost.name, lost.events) == ("event type score", 5)


def test_a_log_that_cannot_be_searched_is_counted_the_same() -> None:
    log = PlainLog()
    declared = DeclaredLog(log, Schema([RATE, LOOK]))
    check = declared.schema.check
    declared.append([check("rate", {"user": n, "stars": 4, "seconds": 9}, AT + n, AT + n) for n in range(1, 8)])
    declared.append([check("look", {"user": n}, AT + n, AT + n) for n in range(1, 6)])
    assert [lost.events for lost in count_undeclared(log, Schema([LOOK]))] == [7]
