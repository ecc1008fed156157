"""Numbers of rows around a release: decisions that change lose no events, and lost events are found all the same."""

from datetime import UTC

import numpy as np
import pytest
from msgspec.structs import replace

from flyball.monitoring.findings.budget import MonitorState, decide_findings, suspects_of
from flyball.monitoring.watch.answering import AnsweringChange
from flyball.monitoring.watch.counted import CountedLook, observe_lost_events, observe_volumes
from flyball.monitoring.watch.followed import DECISIONS
from flyball.monitoring.watch.season import earlier_windows, like_window, weekday_of

DAY_US, START_US = 86_400_000_000, 1_767_571_200_000_000
RELEASED, DAYS = 25, 40
INPUTS = ("events.payment",)


def world(seed: int, reviews: float, lost: float = 0.0, before: float = 1.0) -> dict[str, dict[int, int]]:
    """Volumes of days: payments, answers, and verdicts on nine of ten that went to review.

    Until day 25 the share `before` goes to review, then `reviews`; from then on the share `lost` of verdicts is lost.
    """
    rng = np.random.default_rng(seed)
    volumes: dict[str, dict[int, int]] = {name: {} for name in ("events.payment", "predictions", "events.verdict")}
    volumes |= {f"{DECISIONS}{name}": {} for name in ("review", "approve")}
    for day in range(DAYS):
        at_us, asked = START_US + day * DAY_US, int(rng.poisson(600 if day % 7 < 5 else 800))
        reviewed = int(rng.binomial(asked, (before if day < RELEASED else reviews) * rng.uniform(0.9, 1.0)))
        kept = 0.9 * (1 - lost * (day >= RELEASED))
        counts = (asked, asked, int(rng.binomial(reviewed, kept)), reviewed, asked - reviewed)
        for name, rows in zip(volumes, counts, strict=True):
            volumes[name][at_us] = rows
    return volumes


def found(volumes: dict[str, dict[int, int]], first: bool = True) -> set[tuple[str, str]]:
    """The findings of the days since the release; `first`: whether it was that of the first champion."""
    champions = [AnsweringChange(START_US, "v1 became the champion", True)] * (not first)
    changes = [*champions, AnsweringChange(START_US + RELEASED * DAY_US, "v2 became the champion", True)]
    states: dict[str, MonitorState] = {}
    seen = set()
    for day in range(21, DAYS):
        start_us = START_US + day * DAY_US

        def season(at_us: int) -> list[int]:
            like = like_window(earlier_windows(at_us, DAY_US, 28, UTC), weekday_of(at_us, UTC))
            return [at_us, *(window.start_us for window in like)]

        look = CountedLook(
            start_us,
            DAY_US,
            [season(start_us - back * DAY_US) for back in range(20)],
            [window.start_us for window in earlier_windows(start_us, DAY_US, 28, UTC)],
            suspects_of(states, start_us),
            changes=changes,
            inputs=INPUTS,
        )
        known = {name: {at: rows for at, rows in counts.items() if at <= start_us} for name, counts in volumes.items()}
        observations = [*observe_volumes(look, known, {}), *observe_lost_events(look, known)]
        assert not any(DECISIONS in one.subject for one in observations)
        decision = decide_findings(
            states, observations, since_us=start_us, at_us=start_us + DAY_US, run_length=30, unit_us=DAY_US
        )
        states = decision.states
        seen |= {(finding.monitor, finding.subject) for finding in decision.findings}
    return seen


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("first", "before"), [(True, 1.0), (False, 0.5)])
def test_a_release_that_sends_less_to_review_is_no_loss(seed: int, first: bool, before: float) -> None:
    assert found(world(seed, reviews=0.1, before=before), first) == set()


@pytest.mark.parametrize(("first", "before"), [(True, 1.0), (False, 0.5)])
def test_verdicts_that_are_lost_since_the_release_are_found(first: bool, before: float) -> None:
    assert ("lost_events", "events.verdict") in found(world(1, reviews=0.3, lost=0.6, before=before), first)


def test_requests_that_are_lost_since_the_release_are_found() -> None:
    volumes = world(1, reviews=0.3)
    halved = {
        at_us: rows // 2 if at_us >= START_US + RELEASED * DAY_US else rows
        for at_us, rows in volumes["events.payment"].items()
    }
    assert ("volume", "events.payment") in found({**volumes, "events.payment": halved})


def test_chargebacks_that_become_fewer_by_earlier_declines_are_no_loss() -> None:
    days = [START_US + day * DAY_US for day in range(30)]
    volumes = {
        "events.payment": dict.fromkeys(days, 400),
        "events.chargeback": {at_us: 40 if day < 20 else 10 for day, at_us in enumerate(days)},
        "predictions": dict.fromkeys(days, 400),
    }
    look = CountedLook(days[-1], DAY_US, [], days[:-1], inputs=INPUTS)
    fewer = {seen.subject: seen for seen in observe_lost_events(look, volumes)}
    assert fewer["events.chargeback"].matters
    late = replace(look, late=frozenset({"events.chargeback"}))
    assert {seen.subject for seen in observe_lost_events(late, volumes)} == {"events.payment"}


def test_a_day_on_which_the_log_began_is_not_usual() -> None:
    """The log begins at 17:00: its first day has 7 hours of 24. The observation is that of a log without this day."""
    rows = {START_US + day * DAY_US: int(n) for day, n in enumerate(np.random.default_rng(1).poisson(440, 16))}
    whole = rows | {START_US: rows[START_US] * 7 // 24}
    start_us = max(rows)

    def volume(counts: dict[int, int]) -> list[float]:
        seasons = [
            [at_us, *(window.start_us for window in earlier_windows(at_us, DAY_US, 28, UTC))]
            for at_us in sorted(rows, reverse=True)
        ]
        earlier = [window.start_us for window in earlier_windows(start_us, DAY_US, 28, UTC)]
        look = CountedLook(start_us, DAY_US, seasons, earlier)
        return [float(seen.evidence["expected"]) for seen in observe_volumes(look, {"events.sold": counts}, {})]

    (expected,) = volume(whole)
    assert expected == pytest.approx(440, rel=0.05)
    assert volume({**whole, START_US: 1}) == [expected]
    of_a_week = {at_us: number for at_us, number in whole.items() if at_us >= start_us - 6 * DAY_US}
    assert volume(of_a_week) == []  # 7 days, of which the first may be a part


def test_in_the_first_week_of_a_service_lines_that_are_lost_are_held_against_windows_of_all_hours() -> None:
    """Two days of hours with 10 to 40 answers, each with its payment; verdicts come by day alone. Then half is lost."""
    hour_us, rng = DAY_US // 24, np.random.default_rng(6)
    asked = [int(10 + rng.poisson(10 + 15 * (8 <= hour % 24 < 20))) for hour in range(72)]
    answers = {START_US + hour * hour_us: number for hour, number in enumerate(asked)}
    verdicts = {at_us: number // 3 * (8 <= hour % 24 < 20) for hour, (at_us, number) in enumerate(answers.items())}

    def e_values(hour: int, kept: float) -> dict[str, float]:
        start_us = START_US + hour * hour_us
        payments = {
            at_us: int(rng.binomial(number, kept if at_us == start_us else 1)) for at_us, number in answers.items()
        }
        earlier = [start_us - back * DAY_US for back in range(28, 0, -1)]
        look = CountedLook(start_us, hour_us, [], earlier, inputs=INPUTS)
        volumes = {"events.payment": payments, "events.verdict": verdicts, "predictions": answers}
        return {seen.subject: seen.e_value for seen in observe_lost_events(look, volumes) if seen.matters}

    assert all(e_values(hour, 1.0).get("events.payment", 0.0) < 3 for hour in range(48, 72))
    assert max(e_values(hour, 1.0).get("events.verdict", 0.0) for hour in range(48, 72)) < 3  # by night none comes
    assert min(e_values(hour, 0.5).get("events.payment", 0.0) for hour in range(56, 68)) > 100
