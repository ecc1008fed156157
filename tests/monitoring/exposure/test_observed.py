"""The monitor of the feedback loop: silent without one, a finding with one, at the rate that the budget promises."""

from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.exposure.shop import hours, shop
from tests.monitoring.exposure.worlds import DAY_US, loop_world

from flyball.monitoring import Finding, Observation, decide_findings, exposure_monitor
from flyball.monitoring.exposure.loop import ItemCounts, count_items
from flyball.monitoring.exposure.observed import WEEK, loop_observation, observe_loop

ITEMS, BACK = 60, 28
RUN_LENGTH = 720.0


def counts_of(strength: float, seed: int, days: int) -> ItemCounts:
    lists, consumption = loop_world(strength, seed, days=days)
    return count_items(lists, consumption, [(day * DAY_US, (day + 1) * DAY_US) for day in range(days)], ITEMS)


def looks(strength: float, seed: int, days: int = 75) -> tuple[list[Observation], list[Finding]]:
    """(what a look each day saw, the findings)."""
    counts, states, seen, findings = counts_of(strength, seed, days), {}, [], []
    for until in range(2 * WEEK + 1, days + 1):
        first = max(0, until - BACK - 2 * WEEK)
        part = (counts.shown[first:until], counts.drawn[first:until], counts.popularity[first:until])
        observed = list(loop_observation(*part))
        decision = decide_findings(
            states, observed, since_us=(until - 1) * DAY_US, at_us=until * DAY_US, run_length=RUN_LENGTH
        )
        states = decision.states
        seen += observed
        findings += [finding for finding in decision.findings if finding.fingerprint in decision.new]
    return seen, findings


def test_without_a_loop_there_is_no_finding() -> None:
    """12 worlds of 61 looks are as many as the budget's time to one false finding."""
    worlds = [looks(0.0, seed) for seed in range(12)]
    assert sum(len(findings) for _, findings in worlds) <= 1
    e_values = np.array([observed.e_value for seen, _ in worlds for observed in seen])
    assert len(e_values) > 700
    assert e_values.mean() <= 1 + 3 * e_values.std() / len(e_values) ** 0.5


def test_where_nothing_but_exposure_counts_it_is_found() -> None:
    found = [findings for _, findings in (looks(1.0, seed) for seed in range(5))]
    assert sum(bool(findings) for findings in found) >= 4
    first = next(findings[0] for findings in found if findings)
    assert (first.monitor, first.subject, first.origin) == ("feedback_loop", "lists", "own")
    assert first.evidence["gain"] >= 0.2
    assert "what was shown comes back: each of" in first.message


def test_each_draw_is_in_one_e_value() -> None:
    """Another draw of a day that was looked at does not change the e-value of the day after it."""
    counts = counts_of(0.0, 4, 20)
    changed = counts.drawn.copy()
    changed[-9] = np.roll(changed[-9], 7)
    (one,), (other,) = (
        list(loop_observation(counts.shown, drawn, counts.popularity)) for drawn in (counts.drawn, changed)
    )
    assert one.e_value == other.e_value
    assert one.evidence["gain"] != other.evidence["gain"]


def test_from_logs_the_day_is_looked_at_whose_draws_are_a_week_old(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shown = []
    for day in range(16):
        for number in range(40):
            version = "random" if number % 4 == 0 else "v1"
            items = "".join(rng.choice(list("abcdefgh"), 3, replace=False))
            shown.append((24 * day + number / 2, number + 1, items, version))
    runtime = shop(tmp_path, shown, [(1, 1, "a")], products="abcdefgh", days=16)
    (observed,) = observe_loop(runtime, until_us=hours(16 * 24), days=2)
    assert (observed.monitor, observed.evidence["draws"], observed.evidence["days"]) == ("feedback_loop", 60, 2)
    assert list(observe_loop(runtime, until_us=hours(24), days=2)) == [], "no draw has a week behind it yet"


@pytest.mark.parametrize(("share", "until", "looks_at"), [(0.0, 24, 0), (0.25, 13, 0), (0.25, 24, 1)])
def test_the_monitor_looks_once_a_day_and_only_where_a_slice_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, until: int, looks_at: int
) -> None:
    import msgspec

    runtime = shop(tmp_path, [(1, 1, "ab", "v1")], [(2, 1, "a")])
    monkeypatch.setattr(runtime.app, "task", msgspec.structs.replace(runtime.app.task, randomized_share=share))
    asked: list[int] = []
    monkeypatch.setattr(
        "flyball.monitoring.exposure.observed.observe_loop",
        lambda runtime, *, until_us, days: iter(asked.append(until_us) or ()),  # type: ignore[func-returns-value]
    )
    assert exposure_monitor(runtime)(hours(until - 1), hours(until), {}) == []
    assert len(asked) == looks_at
