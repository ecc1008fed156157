"""The budget of findings: quiet monitors stay quiet, a fault is found, holds, clears and may return."""

from math import inf

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

from flyball.monitoring import Finding, FindingsDecision, MonitorState, Observation, decide_findings, fingerprint_of
from flyball.monitoring.findings.budget import as_last_seen, suspects_of
from flyball.statistics import e_of_p

VOLUME = fingerprint_of("volume", "events.Buy")


def _observed(e_value: float, matters: bool = True, monitor: str = "volume") -> Observation:
    return Observation(monitor, "events.Buy", e_value, matters, "half of the usual rows", evidence={"rows": 5})


def _rounds(looks: list[list[Observation]], run_length: float = 100) -> list[FindingsDecision]:
    states: dict[str, MonitorState] = {}
    decisions = []
    for number, observations in enumerate(looks):
        decision = decide_findings(
            states, observations, since_us=number * 10, at_us=number * 10 + 10, run_length=run_length
        )
        states = decision.states
        decisions.append(decision)
    return decisions


def test_evidence_of_several_looks_adds_up_to_one_finding() -> None:
    looks = [[_observed(0.5, matters=False)]] * 3 + [[_observed(6.0)]] * 6
    decisions = _rounds(looks)
    news = [number for number, decision in enumerate(decisions) if decision.new]
    assert news == [5]
    (finding,) = decisions[5].findings
    assert (finding.at_us, finding.since_us, finding.fingerprint) == (60, 30, VOLUME)
    assert finding.message == "half of the usual rows"
    assert finding.evidence == {"rows": 5}
    assert [len(decision.findings) for decision in decisions[5:]] == [1, 1, 1, 1]
    assert decisions[8].findings[0].since_us == 30


def test_what_is_too_small_to_matter_is_no_finding_however_certain() -> None:
    assert not any(decision.findings for decision in _rounds([[_observed(inf, matters=False)]] * 5))


def test_a_fact_is_a_finding_at_once_and_clears_after_two_quiet_looks() -> None:
    quiet = [_observed(0.5, matters=False)]
    decisions = _rounds([quiet, [_observed(inf)], quiet, [_observed(inf)], quiet, quiet, quiet, [_observed(inf)]])
    assert [decision.new for decision in decisions].count((VOLUME,)) == 2
    assert [decision.cleared for decision in decisions] == [(), (), (), (), (), (VOLUME,), (), ()]
    assert decisions[7].findings[0].since_us == 70


def test_a_monitor_that_does_not_look_keeps_its_finding() -> None:
    other = [_observed(0.5, matters=False, monitor="missing")]
    decisions = _rounds([[_observed(inf)], other, other, other])
    assert not any(decision.cleared for decision in decisions)
    assert decisions[-1].states[VOLUME].firing


def test_two_months_of_a_hundred_quiet_monitors_have_few_findings() -> None:
    """Hourly looks at a budget of one false finding a month; every observation would matter."""
    findings = 0
    for seed in range(2):
        rng = np.random.default_rng(seed)
        e_values = e_of_p(rng.uniform(size=(60 * 24, 100)))
        names = [f"feature_{number}" for number in range(100)]
        looks = [
            [Observation("shift", name, float(e), True, "") for name, e in zip(names, row, strict=True)]
            for row in e_values
        ]
        findings += sum(len(decision.new) for decision in _rounds(looks, run_length=30 * 24))
    assert findings <= 4


def _beside_a_hundred(e_value: float, of_quality: bool) -> list[Observation]:
    columns = [Observation("shift", f"feature_{number}", 0.5, True, "") for number in range(99)]
    return [*columns, Observation("performance", "fraud", e_value, True, "", of_quality=of_quality)]


@pytest.mark.parametrize("few", [1, 3])
def test_a_monitor_of_quality_needs_no_more_evidence_for_a_hundred_columns_beside_it(few: int) -> None:
    """Four times the run length for a single one, as it has a quarter of the budget; 100 times it otherwise."""
    others = [
        Observation("performance", f"other_{number}", 0.5, True, "", of_quality=True) for number in range(few - 1)
    ]
    for e_value, of_quality, found in (
        (4.01 * few * 100, True, True),
        (3.99 * few * 100, True, False),
        (3.99 * few * 100, False, False),
        (100 * 101 * 100, False, True),
    ):
        (decision,) = _rounds([[*_beside_a_hundred(e_value, of_quality), *others]])
        assert bool(decision.new) is found
    column = Observation("shift", "feature_0", 100 * 101 * 4 / 3, True, "")
    (decision,) = _rounds([[column, *_beside_a_hundred(0.5, True)[1:], *others]])
    assert decision.new == (fingerprint_of("shift", "feature_0"),)


def test_where_all_monitors_are_of_quality_they_share_all_of_the_budget() -> None:
    seen = [Observation("performance", name, e, True, "", of_quality=True) for name, e in (("a", 201.0), ("b", 0.5))]
    assert _rounds([seen])[0].new == (fingerprint_of("performance", "a"),)
    most = [*seen, Observation("shift", "x", 0.5, True, "")]  # two of three: no less than an equal share
    assert not _rounds([most])[0].new
    assert _rounds([[replace(most[0], e_value=301.0), *most[1:]]])[0].new


def test_quality_stays_within_the_budget_where_nothing_is_wrong() -> None:
    findings = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        looks = [
            [Observation("performance", str(number), float(e), True, "", of_quality=number < 2) for number, e in row]
            for row in (enumerate(e_of_p(p)) for p in rng.uniform(size=(600, 12)))
        ]
        findings += sum(len(decision.new) for decision in _rounds(looks, run_length=100))
    assert findings <= 24


HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


def _spells(seed: int, days: int = 60, monitors: int = 20) -> np.ndarray:
    """P-values (spells, looks, monitors) of a quiet world with a look each hour: each is uniform, but the looks of six
    hours share most of it."""
    rng = np.random.default_rng(seed)
    spell = rng.standard_normal((4 * days, 1, monitors))
    deviation = np.sqrt(0.9) * spell + np.sqrt(0.1) * rng.standard_normal((4 * days, 6, monitors))
    return 2 * stats.norm.sf(np.abs(deviation))


def _found_in(p_values: np.ndarray, spell_us: int, hours: range) -> list[tuple[int, str]]:
    """(the hour, the subject) of each finding."""
    e_values, states, news = e_of_p(p_values.reshape(-1, p_values.shape[-1])), dict[str, MonitorState](), []
    for hour in hours:
        observations = [
            Observation("shift", f"{number}", float(e), True, "", spell_us=spell_us)
            for number, e in enumerate(e_values[hour])
        ]
        since_us = hour * HOUR_US
        decision = decide_findings(
            states, observations, since_us=since_us, at_us=since_us + HOUR_US, run_length=30, unit_us=DAY_US
        )
        states = decision.states
        news += [(hour, finding.subject) for finding in decision.findings if finding.fingerprint in decision.new]
    return news


def test_a_spell_of_hours_is_one_piece_of_evidence() -> None:
    """The looks of a rainy evening agree: their product is a false finding, their mean is none."""
    quiet = _spells(1)
    assert len(_found_in(quiet, 0, range(60 * 24))) >= 20
    assert len(_found_in(quiet, 6 * HOUR_US, range(60 * 24))) <= 2  # one in 30 days


def test_a_sharp_fault_is_found_at_its_first_look_and_a_weak_one_on_later_days() -> None:
    p_values = np.full((10 * 24, 1, 20), 0.5)
    sharp, weak = p_values.copy(), p_values.copy()
    sharp[100:, :, 0], weak[100:, :, 0] = 1e-8, 0.01
    assert _found_in(sharp, 6 * HOUR_US, range(240)) == [(100, "0")]
    ((hour, _),) = _found_in(weak, 6 * HOUR_US, range(240))
    assert 120 <= hour < 160
    ((hour, _),) = _found_in(weak, 0, range(240))  # where looks depend on nothing that lasts, each counts
    assert 102 <= hour < 112


def _of_hours(observations: list[Observation], hour: int, states: dict[str, MonitorState]) -> dict[str, MonitorState]:
    since_us = hour * HOUR_US
    return decide_findings(
        states, observations, since_us=since_us, at_us=since_us + HOUR_US, run_length=1e9, unit_us=DAY_US
    ).states


def _looks(e_values: dict[int, float], pooled: dict[int, tuple[int, float]], until: int) -> MonitorState:
    """The state after hours `e_values`, and, at the end of an hour, looks at so many hours together."""
    states: dict[str, MonitorState] = {}
    for hour in range(until):
        seen = [Observation("shift", "x", e_values[hour], True, "", spell_us=6 * HOUR_US)] if hour in e_values else []
        if hour in pooled:
            hours, e_value = pooled[hour]
            more = Observation("shift", "x", e_value, True, "", spell_us=6 * HOUR_US, pooled_us=hours * HOUR_US)
            seen = [more, *seen]
        states = _of_hours(seen, hour, states)
    return states[fingerprint_of("shift", "x")]


def test_a_look_at_a_spell_stands_for_its_hours_that_were_not_looked_at() -> None:
    two_hours = _looks({1: 3.0, 5: 6.0}, {5: (6, 24.0)}, 6)
    assert np.exp(two_hours.log_wealth) == pytest.approx((3 + 6 + 4 * 24) / 6 * 6 / 24)
    assert np.exp(_looks({}, {5: (6, 24.0)}, 6).log_wealth) == pytest.approx(24 * 6 / 24)
    all_hours = dict.fromkeys(range(6), 2.0)
    assert _looks(all_hours, {5: (6, 1e6)}, 6) == _looks(all_hours, {}, 6), "its rows were all counted"


def test_a_look_at_two_spells_counts_only_where_none_of_their_rows_was_looked_at() -> None:
    assert np.exp(_looks({}, {11: (12, 24.0)}, 12).log_wealth) == pytest.approx(24 * 12 / 24)
    for hour in (2, 8, 11):
        assert _looks({hour: 2.0}, {11: (12, 1e6)}, 12) == _looks({hour: 2.0}, {}, 12)
    assert _looks({}, {5: (6, 2.0), 11: (12, 1e6)}, 12) == _looks({}, {5: (6, 2.0)}, 12)
    twice = _looks({}, {11: (12, 24.0), 23: (12, 24.0)}, 24)
    assert np.exp(twice.log_wealth) == pytest.approx((24 / 2 + 1 / 2) * 24)


def test_a_pooled_look_begins_with_its_rows_and_says_so() -> None:
    state = _looks({}, {11: (12, 24.0)}, 12)
    assert state.since_us == 0
    seen = Observation("shift", "x", 1e9, True, "", spell_us=6 * HOUR_US, pooled_us=12 * HOUR_US)
    decision = decide_findings({}, [seen], since_us=23 * HOUR_US, at_us=DAY_US, run_length=30, unit_us=DAY_US)
    assert [(found.since_us, found.evidence) for found in decision.findings] == [
        (12 * HOUR_US, {"pooled_us": 12 * HOUR_US})
    ]


def test_rare_rows_looked_at_together_give_no_more_findings_than_allowed() -> None:
    """Hours of a spell agree, a third of them has rows enough, and all six hours agree with them."""
    rng, spells = np.random.default_rng(5), 4 * 60
    shared = rng.standard_normal((spells, 20))
    findings, states = 0, dict[str, MonitorState]()
    for hour in range(6 * spells):
        spell, since_us = hour // 6, hour * HOUR_US
        own = np.sqrt(0.9) * shared[spell] + np.sqrt(0.1) * rng.standard_normal(20)
        enough = rng.random(20) < 1 / 3
        deviations = {0: np.where(enough, own, np.nan)} | ({6 * HOUR_US: shared[spell]} if hour % 6 == 5 else {})
        observations = [
            Observation("shift", f"{number}", float(e), True, "", spell_us=6 * HOUR_US, pooled_us=pooled_us)
            for pooled_us, values in deviations.items()
            for number, value in enumerate(values)
            if np.isfinite(value)
            for e in [e_of_p(2 * stats.norm.sf(abs(value)))]
        ]
        decision = decide_findings(
            states, observations, since_us=since_us, at_us=since_us + HOUR_US, run_length=30, unit_us=DAY_US
        )
        states, findings = decision.states, findings + len(decision.new)
    assert findings <= 2  # one in 30 days


def test_a_look_that_is_the_only_one_of_its_day_counts_in_full() -> None:
    for seen, wealth in (
        (Observation("performance", "sales", 20.0, True, "", daily=True), 20.0),
        (Observation("shift", "sales", 24.0, True, "", spell_us=6 * HOUR_US), 24 / 6 / 4),
        (Observation("volume", "sales", 24.0, True, ""), 24 / 24),
    ):
        states = decide_findings({}, [seen], since_us=0, at_us=HOUR_US, run_length=30, unit_us=DAY_US).states
        assert states[seen.finding(1, 0).fingerprint].log_wealth == pytest.approx(np.log(wealth))


def test_evidence_that_an_earlier_version_stored_is_kept() -> None:
    before = {VOLUME: MonitorState(looks=3, log_wealth=4.0)}
    decision = decide_findings(before, [_observed(1.0)], since_us=0, at_us=10, run_length=1e6)
    assert decision.states[VOLUME].log_wealth == pytest.approx(np.log(np.e**4 + 1))


def _of_price(monitor: str, e_value: float) -> Observation:
    return Observation(monitor, "events.Buy.price", e_value, e_value > 1, "", daily=monitor.endswith("-daily"))


def test_a_column_has_one_finding_whether_hours_or_days_show_it() -> None:
    def decide(states: dict[str, MonitorState], at: int, e_value: float) -> FindingsDecision:
        seen = [_of_price("shift", e_value), _of_price("shift-daily", e_value)]
        at_us = at * DAY_US
        return decide_findings(states, seen, since_us=at_us - 6 * HOUR_US, at_us=at_us, run_length=30, unit_us=DAY_US)

    first = decide({}, 1, 1e9)
    (finding,) = first.findings
    (other,) = first.states.keys() - {finding.fingerprint}
    assert not first.states[other].firing
    assert first.states[other].log_wealth == -inf  # it would have a finding once the other is over
    assert len(decide(first.states, 2, 1e9).findings) == 1
    over = decide(decide(first.states, 2, 0.5).states, 3, 0.5)
    assert over.cleared == (finding.fingerprint,)
    assert not over.findings


def test_a_daily_look_suspects_all_of_its_day() -> None:
    daily = _of_price("shift-daily", 3.0)
    decision = decide_findings(
        {}, [daily], since_us=2 * DAY_US - HOUR_US, at_us=2 * DAY_US, run_length=1e6, unit_us=DAY_US
    )
    assert [state.suspected_us for state in decision.states.values()] == [DAY_US]


def test_monitors_that_have_not_looked_for_weeks_take_no_part_of_the_budget() -> None:
    old = [Observation("shift", f"features.{number}", 0.5, False, "") for number in range(1_000)]
    states = decide_findings({}, old, since_us=0, at_us=DAY_US, run_length=30, unit_us=DAY_US).states
    firing = {"f": MonitorState(firing=True, looked_us=0), "earlier version": MonitorState()}
    seen = [Observation("volume", "events.Buy", 1e4, True, "")]
    for day, remembered, found in ((10, 1_003, 0), (17, 3, 1)):
        decision = decide_findings(
            {**states, **firing}, seen, since_us=(day - 1) * DAY_US, at_us=day * DAY_US, run_length=30, unit_us=DAY_US
        )
        assert len(decision.states) == remembered
        assert len(decision.new) == found


def test_what_is_suspected_is_decided_within_a_week() -> None:
    states = {
        "rises": MonitorState(log_since=1.0, since_us=DAY_US),
        "quiet": MonitorState(log_since=0.0, since_us=DAY_US),
        "holds": MonitorState(firing=True, since_us=DAY_US),
    }
    assert suspects_of(states, 8 * DAY_US) == {"rises": DAY_US, "holds": DAY_US}
    assert suspects_of(states, 8 * DAY_US + 1) == {"holds": DAY_US}


def test_a_finding_that_was_normal_at_the_last_look_keeps_the_words_of_the_look_that_showed_it() -> None:
    empty = Finding("volume", "events.buy", 6, 0, "high", "events.buy had 0 rows, expected 63", "own", {"rows": 0})
    usual = replace(
        empty, at_us=12, severity="low", message="events.buy had 62 rows, expected 63", evidence={"rows": 62}
    )
    holds, quiet = ({empty.fingerprint: MonitorState(firing=True, quiet=number)} for number in (0, 1))
    assert as_last_seen([usual], [empty], holds) == (usual,)
    (kept,) = as_last_seen([usual], [empty], quiet)
    assert kept.message == f"{empty.message}; normal at the last look, over after one more"
    assert (kept.at_us, kept.severity, kept.evidence) == (12, "high", {"rows": 0})
    assert as_last_seen([usual], [kept], quiet)[0].message == kept.message
    assert as_last_seen([usual], [], quiet) == (usual,), "nothing is known of the looks before"
