"""The whole application in virtual time: repeatable, and what it measures is what was planted."""

from pathlib import Path

import pytest

import flyball as fb
from flyball.app import load_app
from flyball.core import BadDeclaration, BadInput, Refused
from flyball.simulation import SimulationReport, simulate


def small(seed: int, home: Path | None = None) -> SimulationReport:
    return simulate(
        load_app("movies"),
        days=2,
        seed=seed,
        home=home,
        past_days=2,
        step="1h",
        users=200,
        items=500,
        sessions_a_day=2.0,
    )


@pytest.fixture(scope="module")
def report() -> SimulationReport:
    return small(1)


def test_same_seed_same_digest_another_seed_another(report: SimulationReport) -> None:
    again, other = small(1), small(2)
    assert again.digest == report.digest != other.digest
    assert again.versions == report.versions
    assert again.per_day == report.per_day


def test_what_was_planted_is_what_was_found(report: SimulationReport) -> None:
    planted = report.planted
    assert planted["broken"] > 0
    assert sum(report.quarantined.values()) == planted["broken"]
    assert report.duplicates == planted["duplicate"]
    assert planted["random_film"] <= report.flagged <= planted["random_film"] + planted["altered"]
    assert report.events["joined"] == planted["account"]
    assert report.events["asked"] == planted["request"] == report.answers
    said = sum(report.events[kind] for kind in ("watch", "rate", "joined", "asked"))
    assert said == report.lines - planted["broken"] - planted["duplicate"]


def test_measured_adoption_is_the_true_one(report: SimulationReport) -> None:
    for version in report.versions:
        # An altered line can add or hide one minute of a film.
        adoption = version.measured["adopted"]
        assert adoption == pytest.approx(version.outcomes["adopted"], abs=0.5 / version.answers + 0.005)
        assert 0 < version.measured["positive"] <= adoption + 0.01


def test_a_version_learned_serves_and_beats_chance(report: SimulationReport) -> None:
    assert any(run.released for run in report.learned)
    served = [version for version in report.versions if version.version]
    assert served
    # "precomputed" answers hold a version's lists too.
    by_version = report.levels["champion"] + report.levels.get("precomputed", 0)
    assert by_version == sum(version.answers for version in served)
    for version in served:
        chance, best = (version.references[policy]["quality"] for policy in ("random", "oracle"))
        assert chance < version.true["quality"] < best
        assert version.candidate in load_app("movies").candidates
    assert sum(day.answers for day in report.per_day) == report.answers == sum(v.answers for v in report.versions)
    assert sum(day.lines for day in report.per_day) <= report.lines


def test_the_report_reads(report: SimulationReport) -> None:
    text = report.text()
    assert report.digest in text
    assert f"{report.answers:,} answers" in text
    assert max(map(len, text.splitlines())) < 300


def test_a_home_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.db").touch()
    with pytest.raises(Refused):
        small(1, tmp_path)


def test_an_application_without_a_world_is_refused() -> None:
    movies = load_app("movies")
    alone = fb.App("alone", events=movies.events, task=movies.task, candidates=movies.candidates)
    with pytest.raises(BadDeclaration, match="fb.world"):
        simulate(alone, days=1)


def test_a_setting_that_the_world_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(BadInput, match="users, items"):
        simulate(load_app("movies"), days=1, films=20)
