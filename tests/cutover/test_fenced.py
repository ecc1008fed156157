"""A store behind a gate is the store itself until the home is moved; then writes of a process that had it follow."""

from pathlib import Path

import pytest

from flyball.core import ManualStopwatch, Refused, StoreUnavailable
from flyball.cutover import FencedLog, FencedQuarantine, WriteGate
from flyball.events import open_log, open_quarantine
from flyball.home import HomeLayout
from flyball.testing.log_contract import as_written, record, written
from flyball.testing.quarantine_contract import entries_of


@pytest.fixture
def homes(tmp_path: Path) -> tuple[HomeLayout, HomeLayout]:
    layouts = HomeLayout(tmp_path / "first"), HomeLayout(tmp_path / "second")
    for layout in layouts:
        layout.folder.mkdir()
    return layouts


def test_appends_follow_the_home_with_the_declarations_that_were_offered(homes: tuple[HomeLayout, HomeLayout]) -> None:
    gate = WriteGate(homes[0])
    log = FencedLog(open_log(homes[0].events), gate, "events")
    log.schemas.offer([written("wide")])
    log.append([as_written(record(1, "a"), written("wide"))])
    gate.move_to(homes[1], 1)
    assert log.append([as_written(record(2, "a"), written("wide"))]).written == 1
    there = open_log(homes[1].events)
    assert (sum(there.ends()), sum(log.ends())) == (1, 1)
    assert there.schemas.stored() == [written("wide")]
    with pytest.raises(Refused, match=f"use --home {homes[1].folder}"):
        FencedLog(open_log(homes[0].events), WriteGate(homes[0]), "events").append([record(3)])


def test_new_lines_follow_the_home_and_marks_do_not(homes: tuple[HomeLayout, HomeLayout]) -> None:
    gate = WriteGate(homes[0])
    quarantine = FencedQuarantine(open_quarantine(homes[0].quarantine), gate)
    assert quarantine.put(entries_of("a")) == 1
    gate.move_to(homes[1], 1)
    first_used_now = FencedQuarantine(open_quarantine(homes[0].quarantine), gate)
    assert first_used_now.put(entries_of("d", source="u")) == 1
    assert quarantine.put(entries_of("bc", source="t")) == 2
    assert len(open_quarantine(homes[1].quarantine).list()) == 3
    assert len(quarantine.list()) == 1
    with pytest.raises(StoreUnavailable, match="list again"):
        quarantine.mark([1], "dropped")


def test_appends_follow_a_home_that_was_moved_twice(homes: tuple[HomeLayout, HomeLayout], tmp_path: Path) -> None:
    third = HomeLayout(tmp_path / "third")
    third.folder.mkdir()
    log = FencedLog(open_log(homes[0].events), WriteGate(homes[0]), "events")
    late = FencedLog(open_log(homes[0].events), WriteGate(homes[0]), "events")
    quarantine = FencedQuarantine(open_quarantine(homes[0].quarantine), WriteGate(homes[0]))
    WriteGate(homes[0]).move_to(homes[1], 1)
    log.append([record(1)])
    WriteGate(homes[1]).move_to(third, 2)
    log.append([record(2)])
    late.append([record(3)])  # which learns of both moves at once
    quarantine.put(entries_of("a"))
    assert [sum(open_log(layout.events).ends()) for layout in (*homes, third)] == [0, 1, 2]
    assert open_quarantine(third.quarantine).counts() == {"a": 1}


def test_nothing_is_written_to_the_next_home_while_that_is_moved_on(
    homes: tuple[HomeLayout, HomeLayout],
) -> None:
    log = FencedLog(open_log(homes[0].events), WriteGate(homes[0]), "events")
    WriteGate(homes[0]).move_to(homes[1], 1)
    log.append([record(1)])
    with (
        WriteGate(homes[1]).closed(ManualStopwatch(), 1.0),
        pytest.raises(StoreUnavailable, match="send it again in a moment"),
    ):
        log.append([record(2)])
    log.append([record(2)])
    assert sum(open_log(homes[1].events).ends()) == 2


def test_nothing_to_put_needs_no_open_gate(homes: tuple[HomeLayout, HomeLayout]) -> None:
    quarantine = FencedQuarantine(open_quarantine(homes[0].quarantine), WriteGate(homes[0]))
    with WriteGate(homes[0]).closed(ManualStopwatch(), 1.0):
        assert quarantine.put([]) == 0
        with pytest.raises(StoreUnavailable, match="send it again in a moment"):
            quarantine.put(entries_of("a"))
