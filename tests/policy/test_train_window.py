"""Training windows: what can be declared, where each begins, and what is refused with words."""

import pytest

from flyball.core import BadDeclaration
from flyball.policy import TrainWindow, train_windows

DAY_US = 86_400_000_000


def test_windows_are_names_or_durations() -> None:
    assert train_windows("all") == (TrainWindow(),)
    assert train_windows(["all", "7d", "since_drift"]) == (
        TrainWindow("all"),
        TrainWindow("7d", 7 * DAY_US),
        TrainWindow("since_drift"),
    )


def test_a_window_begins_so_long_ago_or_with_the_drift() -> None:
    everything, week, drift = train_windows(["all", "7d", "since_drift"])
    assert everything.from_us(30 * DAY_US, 5) == 0
    assert week.from_us(30 * DAY_US, 5) == 23 * DAY_US
    assert drift.from_us(30 * DAY_US, 5) == 5
    assert drift.from_us(30 * DAY_US, 0) is None


@pytest.mark.parametrize("declared", [[], "", "month", 30, ["7d", "7d"], ["7d", "168h"], "1m", [7], "since_drift"])
def test_what_is_no_window_is_refused(declared: object) -> None:
    with pytest.raises(BadDeclaration, match="train_window must be"):
        train_windows(declared)  # type: ignore[arg-type]
