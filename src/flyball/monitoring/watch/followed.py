"""Which answers events follow: verdicts the payments that went to review, declines those that were declined.

Where decisions change, as by a release, so does the number of events that follow one of them, and nothing is wrong. So
the number is held against that of the answers of some decisions: of each set of decisions whose answers explain the
past nearly as well as the best set does. What one of these sets explains is no finding.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from msgspec import Struct

from flyball.core import Doubles
from flyball.monitoring.watch.volume import level_and_scale

DECISIONS = "predictions.decision="
"""Volumes of the answers of a decision are named so, with the decision."""
_MOST_KINDS = 4
_FEWEST_WINDOWS = 7
_AS_GOOD = 1.5
_ALIKE = 0.05
WindowRows = Mapping[int, int]
"""{start of a window: rows}."""


class FollowedAnswers(Struct, frozen=True):
    """Answers that events may follow: `counts` by the start of windows, and `level`, `scale`: of the log of the ratio
    of events to answers in past windows. `all_answers`: whether they are those of all decisions."""

    counts: WindowRows
    level: float
    scale: float
    all_answers: bool


def decided_answers(volumes: Mapping[str, WindowRows]) -> dict[str, WindowRows]:
    """{decision: {start of a window: answers}} of volumes by table; empty where answers are no decisions."""
    return {name.removeprefix(DECISIONS): counts for name, counts in volumes.items() if name.startswith(DECISIONS)}


def followed_answers(
    events: WindowRows, answers: WindowRows, decided: Mapping[str, WindowRows], past_us: Sequence[int]
) -> list[FollowedAnswers]:
    """The sets of answers that explain the numbers of `events` in the windows `past_us`, the best first.

    `answers`: of all decisions; `decided`: by decision. A set has only decisions that were seen in these windows, and
    may be all answers. Empty with fewer than seven windows.
    """
    if len(past_us) < _FEWEST_WINDOWS:
        return []
    seen = {name: sum(counts.get(at_us, 0) for at_us in past_us) for name, counts in decided.items()}
    names = sorted((name for name, total in seen.items() if total), key=lambda name: (-seen[name], name))[:_MOST_KINDS]
    sets: list[WindowRows] = [answers]
    for size in range(1, len(names) + 1):
        sets += [_together([decided[name] for name in chosen]) for chosen in combinations(names, size)]
    followed = np.array([events.get(at_us, 0) for at_us in past_us], np.float64)
    models = []
    for number, counts in enumerate(sets):
        answered = np.array([counts.get(at_us, 0) for at_us in past_us], np.float64)
        level, scale = level_and_scale(_log_ratio(followed, answered))
        models.append(FollowedAnswers(counts, level, scale, number == 0))
    models.sort(key=lambda model: model.scale)
    return [model for model in models if model.scale <= _AS_GOOD * models[0].scale + _ALIKE]


def same_mix(counts: WindowRows, answers: WindowRows, of_set: WindowRows, now_us: int) -> dict[int, int]:
    """`counts` of events as if the set had had the part of all answers that it has in the window of `now_us`.

    Windows without answers, of which nothing says what was decided, stay as they are.
    """
    part = _part(answers, of_set, now_us)
    part = _part(answers, of_set, now_us)
    if part is None:
        return dict(counts)
    return {at_us: _scaled(rows, part, _part(answers, of_set, at_us)) for at_us, rows in counts.items()}


def _scaled(rows: int, part_now: float, part: float | None) -> int:
    return rows if not part else round(rows * part_now / part)


def _part(answers: WindowRows, of_set: WindowRows, at_us: int) -> float | None:
    """The part of the answers of a window that are of the set; None without answers."""
    return of_set.get(at_us, 0) / answers[at_us] if answers.get(at_us) else None


def _log_ratio(followed: Doubles, answered: Doubles) -> Doubles:
    return np.asarray(np.log((followed + 0.5) / (answered + 0.5)), dtype=np.float64)


def _together(parts: Sequence[WindowRows]) -> dict[int, int]:
    windows = dict.fromkeys(at_us for part in parts for at_us in part)
    return {at_us: sum(part.get(at_us, 0) for part in parts) for at_us in windows}
