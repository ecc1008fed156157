"""Cases of a governor: the same cause is the same case until it is closed."""

from pathlib import Path

import msgspec
import pytest

from flyball.core import this_process
from flyball.learning import CaseLog, LearningCause
from flyball.learning.cleanup import clean_leftovers
from flyball.registry import INTERRUPTED, Registry, begin_run, cases_of, end_run, link_run

DRIFT = LearningCause("fb.on_drift()", "drift", "km drifted", {"p": 0.01}, "fb.on_drift() v1")
NIGHT = LearningCause('fb.every("1d")', "schedule", "scheduled")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(f"sqlite://{tmp_path}/registry.db")


def states(registry: Registry) -> list[tuple[str, str, str]]:
    return [(case.id, case.status, case.outcome) for case in cases_of(registry)]


def test_a_refused_cause_waits_and_is_the_same_case_when_it_starts(registry: Registry) -> None:
    log = CaseLog(registry, "shop")
    log.refuse(DRIFT, "cooldown", 5)
    log.refuse(DRIFT, "cooldown", 6)
    assert log.waiting() == {DRIFT.fingerprint: "cooldown"}
    log.refuse(DRIFT, "another run is under way", 7)
    assert CaseLog(registry, "shop").waiting() == {DRIFT.fingerprint: "another run is under way"}
    assert log.begin([DRIFT, NIGHT], 8) == ("c1", "c2")
    assert states(registry) == [("c1", "running", ""), ("c2", "running", "")]
    log.end(("c1", "c2"), "learned", 9)
    assert states(registry) == [("c1", "closed", "learned"), ("c2", "closed", "learned")]
    log.refuse(DRIFT, "cooldown", 10)
    assert states(registry)[2] == ("c3", "waiting", "")
    case = cases_of(registry, "c1")[0]
    assert (case.cause, case.evidence, case.opened_us) == ("km drifted", {"p": 0.01}, 5)
    assert [refusal["at_us"] for refusal in case.refusals] == [5, 7]


def test_a_cause_that_no_longer_holds_is_withdrawn(registry: Registry) -> None:
    log = CaseLog(registry, "shop")
    log.refuse(DRIFT, "cooldown", 5)
    log.withdraw("another", 6)
    assert states(registry) == [("c1", "waiting", "")]
    log.withdraw(DRIFT.fingerprint, 6)
    assert states(registry) == [("c1", "closed", "the cause no longer holds")]
    assert log.waiting() == {}


def given_to_another_machine(registry: Registry, left_us: int) -> None:
    far = msgspec.json.encode(msgspec.structs.replace(this_process(), host="elsewhere")).decode()
    with registry.database.writing() as connection:
        connection.exec_driver_sql(
            f"UPDATE at_work SET process = ?, expires_us = {registry.database.now_us_sql} + ?", (far, left_us)
        )


def test_what_ran_when_the_process_ended_is_closed_by_the_next(registry: Registry) -> None:
    CaseLog(registry, "shop").begin([NIGHT], 5)
    log = CaseLog(registry, "shop")
    log.refuse(DRIFT, "cooldown", 6)
    assert log.recover(7, under_way=["c1"]) == []
    assert log.recover(7) == ["c1"]
    assert states(registry) == [("c1", "closed", INTERRUPTED), ("c2", "waiting", "")]


@pytest.mark.parametrize(("left_us", "closed"), [(60_000_000, []), (-1, ["c1", "c2"])])
def test_what_another_machine_runs_is_left_to_it_while_it_gives_signs_of_life(
    registry: Registry, left_us: int, closed: list[str]
) -> None:
    log = CaseLog(registry, "shop")
    log.begin([NIGHT, DRIFT], 5)
    link_run(registry, ["c2"], begin_run(registry, "shop", 5, 5))
    given_to_another_machine(registry, left_us)
    assert log.recover(7) == closed


@pytest.mark.parametrize(("left_us", "kept"), [(60_000_000, True), (-1, False)])
def test_a_run_of_another_machine_is_not_cleaned_up_while_it_gives_signs_of_life(
    registry: Registry, tmp_path: Path, left_us: int, kept: bool
) -> None:
    begin_run(registry, "shop", 5, 5)
    given_to_another_machine(registry, left_us)
    (tmp_path / "artifacts" / ".r1-als").mkdir(parents=True)
    notes = clean_leftovers(registry, tmp_path, tmp_path / "artifacts", 9)
    assert (notes == []) == kept
    assert registry.runs()[0].status == ("running" if kept else "interrupted")
    assert (registry.runs()[0].ended_us is None) == kept
    assert (tmp_path / "artifacts" / ".r1-als").exists() == kept


def test_the_expected_cost_is_that_of_the_last_runs(registry: Registry) -> None:
    log = CaseLog(registry, "shop")
    log.begin([NIGHT], 5)
    for seconds in (100.0, 1.0, 2.0, 6.0):
        run = begin_run(registry, "shop", 1, 2)
        end_run(registry, run, "done", 3, report={"seconds": seconds})
    log.begin([NIGHT], 6)
    expected = [case.expected for case in cases_of(registry)]
    assert [each["cost_s"] for each in expected] == [None, 3.0]
    assert expected[0]["gain"] is None
    assert "flyball freshness" in expected[0]["note"]
