"""The sums of a shadow: whatever the steps and the processes, they add up to those of all answers."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import Refused
from flyball.outcomes import Prediction
from flyball.releases import Moments, Release, ReleaseArm, ShadowBatch, ShadowCounter, slices_of
from flyball.releases.shadow_counts import ALL, MAX_SLICES, OTHER


def answer(took_us: int, failed: str = "") -> Prediction:
    return Prediction(
        id="x",
        at_us=1,
        key="1",
        items=["a"],
        version="v2",
        level="chosen",
        arm="candidate",
        propensity=1.0,
        request_type="ask",
        request={},
        scores=[1.0],
        sources=["model"],
        offsets=(),
        took_us=took_us,
        failed=failed,
    )


def batch(release: str, numbers: list[float], at_us: int = 5, slices: tuple[str, ...] = ()) -> ShadowBatch:
    added = ShadowBatch(release)
    for number in numbers:
        for sums in added.of("candidate", slices, at_us):
            sums.answers.note(answer(1_000))
            sums.note({"overlap": number}, newer=number > 0.5)
    return added


@given(st.lists(st.floats(-100, 100), max_size=30), st.integers(0, 30))
def test_moments_of_parts_are_those_of_all(numbers: list[float], cut: int) -> None:
    whole, parts = Moments(), [Moments(), Moments()]
    for place, number in enumerate(numbers):
        whole.note(number)
        parts[place >= cut].note(number)
    parts[0].add(parts[1])
    assert parts[0].count == whole.count == len(numbers)
    assert parts[0].total == pytest.approx(math.fsum(numbers), abs=1e-9)
    assert parts[0].squares == pytest.approx(math.fsum(number**2 for number in numbers), abs=1e-6)


def test_processes_add_up_and_a_restart_goes_on(tmp_path: Path) -> None:
    first, second = ShadowCounter(tmp_path / "shadows.db"), ShadowCounter(tmp_path / "shadows.db")
    first.add(batch("rel2", [1.0, 0.5], at_us=5), (3, 0))
    second.add(batch("rel2", [0.25], at_us=9), (3, 4))
    left = batch("rel3", [0.0])
    left.leave_out("behind", 7)
    left.leave_out("behind", 2)
    left.leave_out("pressure", 0)
    first.add(left, (1, 1))
    first.close()
    again = ShadowCounter(tmp_path / "shadows.db")
    assert (again.offsets("rel2"), again.offsets("rel3"), again.offsets("rel4")) == ({0: 3, 1: 4}, {0: 1, 1: 1}, {})
    sums = again.result("rel2").sums["candidate"][ALL]
    assert (sums.answers.answers, sums.measures["overlap"].total, sums.newer) == (3, 1.75, 1)
    assert again.result("rel2").last_us == {"candidate": 9}
    assert again.result("rel3").left_out == {"behind": 9}
    assert again.result("rel4").arms() == ()
    arms = again.result("rel2").arms()
    assert [(row.arm, row.share, row.counts.answers, row.last_us) for row in arms] == [("candidate", 8_000, 3, 9)]


def test_a_step_counts_whole_or_not_at_all(tmp_path: Path) -> None:
    counter = ShadowCounter(tmp_path / "shadows.db")
    broken = batch("rel2", [1.0])
    broken.left_out["behind"] = object()  # type: ignore[assignment]
    with pytest.raises(Exception, match="type"):
        counter.add(broken, (9,))
    assert (counter.offsets("rel2"), counter.result("rel2").sums) == ({}, {})


def test_too_many_slices_are_counted_together(tmp_path: Path) -> None:
    counter = ShadowCounter(tmp_path / "shadows.db")
    for number in range(MAX_SLICES + 5):
        counter.add(batch("rel2", [1.0], slices=(f"shop={number}",)), (number,))
    counter.add(batch("rel2", [0.0], slices=("shop=0",)), (99,))
    slices = counter.result("rel2").sums["candidate"]
    assert len(slices) == MAX_SLICES + 2  # all of them together, and the others
    assert slices[OTHER].answers.answers == 5
    assert (slices["shop=0"].answers.answers, slices[ALL].answers.answers) == (2, MAX_SLICES + 6)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "shadows.db") as connection:
        connection.execute("PRAGMA user_version = 7")
        connection.execute("CREATE TABLE sums(x)")
    with pytest.raises(Refused, match="shadows under way begin to count again"):
        ShadowCounter(tmp_path / "shadows.db").result("rel1")


def test_slices_are_the_values_of_declared_fields() -> None:
    arms = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))
    release = Release(id="rel1", kind="shadow", state="shadow", arms=arms, salt="rel1", slices=("city", "zone", "n"))
    assert slices_of(release, {"city": "Delft", "zone": "", "n": 0, "km": 2.5}) == ["city=Delft", "n=0"]
