"""Whoever holds the gate closed is alone; a home is where the last move left it."""

import threading
from pathlib import Path

import pytest

from flyball.core import ManualStopwatch, Refused, StoreUnavailable, SystemStopwatch
from flyball.cutover import Copying, WriteGate
from flyball.home import HomeLayout


@pytest.fixture
def homes(tmp_path: Path) -> tuple[HomeLayout, HomeLayout]:
    layouts = HomeLayout(tmp_path / "first"), HomeLayout(tmp_path / "second")
    for layout in layouts:
        layout.folder.mkdir()
    return layouts


def test_writers_share_the_gate_and_none_enters_while_it_is_closed(homes: tuple[HomeLayout, HomeLayout]) -> None:
    gate, other = WriteGate(homes[0]), WriteGate(homes[0])
    with gate.writing() as moved, other.writing():
        assert moved is None
    again = pytest.raises(StoreUnavailable, match="send it again in a moment")
    with gate.closed(ManualStopwatch(), 1.0), again, other.writing():
        pass
    with other.writing():
        pass


def test_the_gate_closes_when_the_writes_under_way_have_ended(homes: tuple[HomeLayout, HomeLayout]) -> None:
    entered, leave, order = threading.Event(), threading.Event(), list[str]()

    def write() -> None:
        with WriteGate(homes[0]).writing():
            entered.set()
            leave.wait(10)
            order.append("written")

    writer = threading.Thread(target=write)
    writer.start()
    entered.wait(10)
    gate = WriteGate(homes[0])
    with pytest.raises(StoreUnavailable, match="must end within 0 s"), gate.closed(SystemStopwatch(), 0):
        pass
    leave.set()
    with gate.closed(SystemStopwatch(), 10):
        order.append("closed")
    writer.join()
    assert order == ["written", "closed"]


def test_a_home_is_where_the_last_move_left_it(homes: tuple[HomeLayout, HomeLayout]) -> None:
    first, second = map(WriteGate, homes)
    first.move_to(homes[1], 1)
    moved = first.moved()
    assert moved is not None
    assert (moved.home, second.moved()) == (str(homes[1].folder), None)
    second.move_to(homes[0], 2)
    assert first.moved() is None
    back = second.moved()
    assert back is not None
    assert back.home == str(homes[0].folder)


def test_a_process_that_was_killed_in_a_move_leaves_one_home(homes: tuple[HomeLayout, HomeLayout]) -> None:
    first, second = map(WriteGate, homes)
    first.move_to(homes[1], 1)
    kept = homes[0].moved.read_bytes()
    second.begin_copy(Copying(str(homes[0].folder)))
    assert second.copying() is None  # the move has happened
    second.move_to(homes[0], 2)
    homes[0].moved.write_bytes(kept)  # as before the last step of the second move
    assert first.moved() is None
    assert second.moved() is not None


def test_a_copy_is_no_home_before_the_move(homes: tuple[HomeLayout, HomeLayout]) -> None:
    first, second = map(WriteGate, homes)
    second.begin_copy(Copying(str(homes[0].folder), ("events",)))
    assert second.copying() == Copying(str(homes[0].folder), ("events",))
    with pytest.raises(Refused, match="must be complete to be written to"), second.writing():
        pass
    with first.writing() as moved:
        assert moved is None
    first.move_to(homes[1], 1)
    with second.writing() as moved:
        assert moved is None
