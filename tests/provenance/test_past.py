"""The past of one user, read from few blocks of the log, equals what is folded from all of it."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from flyball.core import parse_url
from flyball.events import DeclaredLog, Offsets, Slice, partition
from flyball.events.sqlite import SqliteLog
from flyball.provenance import replay, why
from flyball.provenance.columns import everything, frames_before
from flyball.state import load_catalog, state_at
from flyball.tasks import popular_of, read_histories, read_popular

from .conftest import DAY_US, DAYS, START_US, Cinema


class Watched(SqliteLog):
    """A log that notes which records are asked for, and gives nothing any other way."""

    def __init__(self, url: str) -> None:
        super().__init__(parse_url(url))
        self.read_from = list[tuple[int, frozenset[str]]]()

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        raise AssertionError("the log must not be read whole")

    def read_where(
        self,
        partition: int,
        after: int,
        until: int,
        types: Mapping[str, int] | None = None,
        at_us: tuple[int, int] | None = None,
    ) -> Iterator[Slice]:
        assert types is not None
        self.read_from.append((partition, frozenset(types)))
        return super().read_where(partition, after, until, types, at_us)


def test_it_equals_the_whole_fold_at_any_offsets(cinema: Cinema) -> None:
    runtime, task = cinema.runtime, cinema.runtime.app.task
    for day in range(40):  # blocks of one record, of all kinds
        cinema.put("watch", user=1 + day % 3, film=f"f{day % 7}", minute=day, at_us=START_US + day)
        cinema.put("card", film=f"f{day % 5}", half=str(day), at_us=START_US + day)
        cinema.put("viewer", user=1 + day % 2, age=20 + day, at_us=START_US + day)
    ends = runtime.log.ends()
    for share in (0.0, 0.1, 0.5, 0.93, 1.0):
        until = tuple(int(end * share) for end in ends)
        for users in ([], ["1"], ["2", "17"], ["nobody"]):
            quick = state_at(runtime.log, until, runtime.views, users)
            whole = state_at(runtime.log, until, [view.only(users) for view in runtime.views])
            assert quick.offsets() == until
            if any(until):
                assert list(quick.scan(b"")) == list(whole.scan(b""))
    assert [one.user for one in read_histories(quick, runtime.app.task.signals(runtime.schema), ["2"])[0]] == ["2"]
    assert load_catalog(quick, task.item).ids


def test_only_the_users_partition_and_the_blocks_of_profiles_are_read(learned: Cinema) -> None:
    learned.champion("item_knn")
    (answer,) = learned.answer(7)
    runtime = learned.runtime
    log = Watched(runtime.settings.events)
    runtime.log = log
    assert replay(runtime, answer.id).identical
    mine = partition("7", len(log.ends()))
    assert sorted(log.read_from) == sorted(
        (part, frozenset({"card"}) | (frozenset({"watch", "rate", "viewer"}) if part == mine else frozenset()))
        for part in range(len(log.ends()))
    )


def test_what_the_user_did_next_is_looked_for_in_their_partition_alone(learned: Cinema) -> None:
    learned.champion("item_knn")
    (answer,) = learned.answer(7)
    learned.put("watch", user=7, film=answer.items[0], minute=3, at_us=START_US + DAYS * DAY_US + 60_000_000)
    learned.put("watch", user=8, film=answer.items[0], minute=3, at_us=START_US + DAYS * DAY_US + 60_000_000)
    found = why(learned.runtime, answer.id).next
    assert [(one.type, one.fields["film"], one.count) for one in found] == [("watch", answer.items[0], 1)]


def test_what_needs_everyones_events_is_read_from_the_history_as_far_as_it_reaches(cinema: Cinema) -> None:
    """Then from the log; without a history, or with a torn one, all of it: the answer is the same."""
    runtime = cinema.runtime
    runtime.history_consumer.flush()
    reach = runtime.history.offsets()
    assert any(reach)
    for user in range(1, 9):
        cinema.put("rate", user=user, film="f29", stars=5)
    before, after = reach, runtime.log.ends()
    assert before != after

    def popular(offsets: Offsets) -> list[str]:
        frames = frames_before(runtime, offsets, runtime.app.task.signals(runtime.schema).plans, everything)
        return popular_of(frames, runtime.app.task.signals(runtime.schema)).items

    def folded(offsets: Offsets) -> list[str]:
        return read_popular(
            state_at(runtime.log, offsets, runtime.views), runtime.app.task.signals(runtime.schema)
        ).items

    part_way = tuple(end // 2 for end in before)
    expected = [folded(offsets) for offsets in (part_way, before, after)]
    assert expected[1] != expected[2]
    assert [popular(offsets) for offsets in (part_way, before, after)] == expected
    part = next((runtime.history_folder).rglob("*watch*.parquet"), None) or next(
        iter(sorted(runtime.history_folder.rglob("*.parquet")))
    )
    part.unlink()
    assert popular(after) == expected[2]
    shutil.rmtree(runtime.history_folder)
    assert popular(after) == expected[2]


@pytest.mark.parametrize("after", [0, 3, 9, 10, 24, 25])
def test_blocks_are_given_by_kind_between_two_offsets(tmp_path: Path, cinema: Cinema, after: int) -> None:
    schema = cinema.runtime.schema
    log = DeclaredLog(SqliteLog(parse_url(f"sqlite://{tmp_path}/one.db?partitions=1")), schema)
    for start in (0, 10, 20):  # three blocks; the middle one holds cards alone
        names = ["card"] * 10 if start == 10 else ["watch", "rate"] * 5
        fields = {
            "card": {"film": "f"},
            "watch": {"user": 1, "film": "f", "minute": 1},
            "rate": {"user": 1, "film": "f", "stars": 1},
        }
        log.append([schema.check(name, fields[name], START_US + start + n, START_US) for n, name in enumerate(names)])
    got = [(piece.first, len(piece.records)) for piece in log.read_where(0, after, 25, {"rate": 0})]
    assert got == [
        (max(first, after), min(25, first + 10) - max(first, after))
        for first in (0, 20)
        if after < first + 10 and max(first, after) < 25
    ]
    assert list(log.read_where(0, after, 25, {"else": 0})) == []
