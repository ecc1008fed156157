"""Whether events come for the requests that were answered: loss that a forecast of the volume is too wide to see.

An answered order is followed by its events, weekday or rush hour alike, so their number is held against that of the
answers of the same window, and the ratio against that of windows at the same time of earlier days. Where answers are
decisions, of which the events follow some, the answers are those of these decisions: other decisions lose no events.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.watch.followed import FollowedAnswers, WindowRows, followed_answers
from flyball.statistics import e_of_p

LOST_EVENTS = "lost_events"
_FEWEST_ANSWERS = 10
_FEWEST_WINDOWS = 7
_FEWEST_EVENTS = 7
_LEAST_LOST = 0.3
_DEGREES = 8.0


def observe_lost(
    table: str,
    counts: WindowRows,
    answers: WindowRows,
    start_us: int,
    earlier_us: Sequence[int],
    decided: Mapping[str, WindowRows] | None = None,
) -> Observation | None:
    """The observation of a table of events in the window that begins at `start_us`; None for too few answers in it, or
    in fewer than 7 of the windows `earlier_us`, or where nothing follows answers.

    `counts`, `answers`: rows of the table, and predictions, by the start of windows; `decided`: the latter by decision.
    It matters if 3 of 10 events or more are missing. The deviation is that of earlier windows, at least that of a share
    of so many answers (binomial) and that of one event. Of all sets of decisions that the events may follow, that which
    makes them least unusual counts.
    """
    past_us = [at_us for at_us in earlier_us if answers.get(at_us, 0) >= _FEWEST_ANSWERS]
    if answers.get(start_us, 0) < _FEWEST_ANSWERS or len(past_us) < _FEWEST_WINDOWS:
        return None
    if np.median([counts.get(at_us, 0) for at_us in past_us]) < 1:
        return None
    sets = followed_answers(counts, answers, decided or {}, past_us)
    usual = float(np.mean([counts.get(at_us, 0) for at_us in past_us]))
    seen = [_beside(table, counts.get(start_us, 0), start_us, answered, usual) for answered in sets]
    return max(seen, key=lambda look: float(look.evidence["p"]))


def _beside(table: str, rows: int, start_us: int, answered: FollowedAnswers, usual: float) -> Observation:
    """Beside the answers of some decisions; `usual`: the mean number of events in earlier windows."""
    number = answered.counts.get(start_us, 0)
    expected = float(np.exp(answered.level)) * number
    if not expected:
        evidence = {"rows": rows, "answers": 0, "expected": 0.0, "p": 1.0}
        return Observation(
            LOST_EVENTS, table, float(e_of_p(1.0)), False, "no answer has events", "high", "own", evidence
        )
    wider = max(1.0, float(np.sqrt(usual / expected)))  # fewer events than usual vary more
    drawn = np.sqrt(max(0.0, 1 - expected / number) / expected)  # of log(rows), where each answer has one or none
    deviation = max(answered.scale * wider, float(drawn), 1 / number)
    off = (answered.level - np.log((rows + 0.5) / (number + 0.5))) / deviation
    p = float(stats.t.sf(off, _DEGREES))
    message = f"{table} had {rows:,} rows beside {number:,} answers, expected {expected:,.0f}: events are lost or late"
    evidence = {"rows": rows, "answers": number, "expected": round(expected, 1), "p": p}
    matters = expected >= _FEWEST_EVENTS and rows <= (1 - _LEAST_LOST) * expected
    return Observation(LOST_EVENTS, table, float(e_of_p(p)), matters, message, "high", "own", evidence)
