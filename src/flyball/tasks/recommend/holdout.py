"""The part of the past on which candidates are evaluated (temporal holdout split)."""

import numpy as np

from flyball.models import Interactions
from flyball.tasks.task import Holdout

SHARES = (0.2, 0.3, 0.4, 0.5)

RULE = (
    "test on the latest 20 % of positives by time; 30, 40 or 50 % while fewer would leave less than the number of "
    "users the gates ask for; positives of the same time are never divided"
)


def holdouts(data: Interactions) -> list[Holdout]:
    """The windows to try, in order, for `data` known now; none if there is no positive before any split."""
    at_us = np.sort(data.at_us[data.weights >= 1])
    windows: list[Holdout] = []
    for share in SHARES:
        first = len(at_us) - int(np.ceil(len(at_us) * share))
        first = int(np.searchsorted(at_us, at_us[first], "left")) if first else 0
        if first and (not windows or int(at_us[first]) < windows[-1].start_us):
            count = len(at_us) - first
            windows.append(Holdout(int(at_us[first]), data.as_of_us + 1, count / len(at_us), count, RULE))
    return windows


def holdout_in(data: Interactions, window_us: tuple[int, int]) -> Holdout:
    """The window `[start, end)` of a request to evaluate."""
    at_us = data.at_us[data.weights >= 1]
    count = int(((at_us >= window_us[0]) & (at_us < window_us[1])).sum())
    return Holdout(*window_us, count / max(len(at_us), 1), count, "as requested")
