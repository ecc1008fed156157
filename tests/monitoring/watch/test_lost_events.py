"""Events beside the answers they belong to: half of them lost is seen at once, a busy day is none, nor a lazy one."""

import numpy as np
import pytest

from flyball.monitoring.watch.lost_events import observe_lost

WINDOWS = list(range(28))


def counted(rng: np.random.Generator, followed: float, asked: int) -> int:
    return int(rng.binomial(asked, followed))


@pytest.mark.parametrize("followed", [1.0, 0.9, 0.3])
def test_lost_events_are_seen_and_busy_days_are_none(followed: float) -> None:
    rng = np.random.default_rng(3)
    answers = {window: int(rng.poisson(rng.choice([60, 90, 200]))) for window in WINDOWS}
    counts = {window: counted(rng, followed, asked) for window, asked in answers.items()}
    p_values = []
    for _ in range(200):
        asked = int(rng.poisson(100))
        now = {**counts, 28: counted(rng, followed, asked)}
        seen = observe_lost("events.order", now, {**answers, 28: asked}, 28, WINDOWS)
        assert seen is not None
        assert not seen.matters or followed < 0.5
        p_values.append(seen.evidence["p"])
    assert np.mean(np.array(p_values) <= 0.01) <= 0.03
    lost = observe_lost(
        "events.order", {**counts, 28: counted(rng, followed / 2, 150)}, {**answers, 28: 150}, 28, WINDOWS
    )
    assert lost is not None
    assert (lost.matters, lost.origin, lost.severity) == (True, "own", "high")
    assert lost.e_value > 1_000 or followed < 0.5
    assert "rows beside 150 answers, expected " in lost.message


def test_more_events_than_usual_are_none() -> None:
    answers = dict.fromkeys(range(29), 50)
    seen = observe_lost("events.order", {**dict.fromkeys(WINDOWS, 25), 28: 50}, answers, 28, WINDOWS)
    assert seen is not None
    assert seen.e_value < 1
    assert not seen.matters


def test_few_windows_that_happen_to_be_alike_make_no_certainty() -> None:
    """10 of 100 in each of seven windows, then 7: a count of 10 is 7 or less in one window of five."""
    answers = dict.fromkeys(range(8), 100)
    seen = observe_lost("events.order", {**dict.fromkeys(range(7), 10), 7: 7}, answers, 7, range(7))
    assert seen is not None
    assert 0.05 < seen.evidence["p"] < 0.5
    assert seen.e_value < 3


def test_too_little_says_nothing() -> None:
    few, enough = dict.fromkeys(range(29), 9), dict.fromkeys(range(29), 20)
    assert observe_lost("events.order", few, few, 28, WINDOWS) is None
    assert observe_lost("events.order", enough, enough, 28, WINDOWS[:6]) is None
    assert observe_lost("events.order", {}, enough, 28, WINDOWS) is None  # nothing follows answers
