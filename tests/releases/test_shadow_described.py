"""A shadow for a reader: means and intervals of planted numbers, by slice, and what was left out."""

from pathlib import Path

import msgspec
import pytest

from flyball.releases import Release, ReleaseArm, ShadowBatch, ShadowCounter, describe_shadow, shadow_progress
from flyball.statistics import bounded_mean_interval, mean_sequence

ARMS = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))
RELEASE = Release(
    id="rel2", kind="shadow", state="shadow", arms=ARMS, salt="rel2", constants={"n_best": 2_000.0}, sampled=0.5
)


def fill(counter: ShadowCounter, arm: str, count: int, overlap: float, shift: float, slices: tuple[str, ...]) -> None:
    batch = ShadowBatch("rel2")
    for number in range(count):
        for sums in batch.of(arm, slices, number):
            sums.answers.count("late" if number % 10 == 0 else "", empty=number % 50 == 0, took_us=3_000.0)
            sums.note({"overlap": overlap, "score_difference": shift * (number % 3)}, newer=number % 2 == 0)
    batch.leave_out("too many waited", 5)
    counter.add(batch, (count,))


def test_the_description_has_the_planted_means_with_their_intervals(tmp_path: Path) -> None:
    counter = ShadowCounter(tmp_path / "shadows.db")
    fill(counter, "candidate", 600, 0.25, 2.0, ("city=Delft",))
    fill(counter, "candidate", 300, 1.0, 2.0, ("city=Gouda",))
    fill(counter, "control", 100, 1.0, 0.0, ("city=Delft",))
    described = describe_shadow(RELEASE, counter.result("rel2"))
    assert [(arm.arm, arm.answers, arm.failed, arm.empty, arm.newer) for arm in described.arms] == [
        ("candidate", 900, {"late": 90}, 18, 450),
        ("control", 100, {"late": 10}, 2, 50),
    ]
    rows = {(row.measure, row.slice): row for row in described.measures}
    whole = rows["overlap", ""]
    assert (whole.answers, whole.mean, whole.again) == (900, pytest.approx(0.5), 1.0)
    low, high = bounded_mean_interval(450.0, 900, 0.05, 2_000)
    assert (whole.low, whole.high) == (float(low), float(high))
    delft = rows["overlap", "city=Delft"]
    low, high = bounded_mean_interval(150.0, 600, 0.025, 2_000)  # two slices share what may err
    assert (delft.mean, delft.low, delft.high, delft.again) == (0.25, float(low), float(high), 1.0)
    assert rows["overlap", "city=Gouda"].again is None
    shift = rows["score_difference", ""]
    assert shift.mean == pytest.approx(2.0)
    assert (shift.low, shift.high) == mean_sequence(1_800.0, 6_000.0, 900, 2_000)
    assert rows["score_difference", "city=Gouda"].low is None  # too few for an asymptotic interval
    assert (described.sampled, described.left_out) == (0.5, {"too many waited": 15})


def test_what_a_shadow_waits_for_is_said_before_and_after_its_first_look(tmp_path: Path) -> None:
    counter = ShadowCounter(tmp_path / "shadows.db")

    def said(ends: tuple[int, ...]) -> str:
        return shadow_progress(RELEASE, counter.result("rel2"), counter.offsets("rel2"), ends)

    assert said((7, 5)).startswith("its process has not looked yet")
    counter.add(ShadowBatch("rel2"), (7, 5))
    assert said((7, 5)).startswith("silence: ")
    assert said((9, 6)) == "3 served answers wait for it"
    batch = ShadowBatch("rel2")
    batch.leave_out("served answers waited")
    counter.add(batch, (9, 6))
    assert said((9, 6)) == "it has looked at all that was served"
    ended = msgspec.structs.replace(RELEASE, state="aborted")
    assert shadow_progress(ended, counter.result("rel2"), {}, (9, 6)) == ""


def test_nothing_is_known_before_the_first_answer(tmp_path: Path) -> None:
    described = describe_shadow(RELEASE, ShadowCounter(tmp_path / "shadows.db").result("rel2"))
    assert (described.arms, described.measures, described.left_out) == ([], [], {})
