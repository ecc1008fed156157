"""The drills of shift: what is planted, in which form, and what must come of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from flyball.simulation.world import DAY_US

ShiftForm = Literal["sudden", "gradual", "seasonal"]
Mitigation = Literal["learn", "rollback", "return", ""]
SHIFT_FORMS: tuple[ShiftForm, ...] = ("sudden", "gradual", "seasonal")
RAMP_US = 7 * DAY_US
"""How long a gradual shift grows."""
SEASON_KNOWN_DAYS = 21
"""After so many days of service, three weekends of answers are known and a season is no news."""
BEFORE_DAYS = 9
"""How long the service lives before anything is planted: answers are watched once a week of them is known."""
QUIET_DAYS = 3
"""How long, at least, it is watched before anything is planted."""


class ShiftDrill(Struct, frozen=True):
    """One drill of shift.

    `words`: what is planted; of a world's change, the world says it. `moves`: the kind of change of the world, "" for
    none. `serving`: a fault of the service, as `ServingFault` has it, "" for none. `mitigation`: what must end it:
    a version "learn"ed since, a "rollback" by a person who follows the incident, or the "return" of what was away;
    "" where nothing must be found. `within_days`: how soon it must be found, besides the time that labels take where
    only labels show it (`labels` "all"). `after_days`: how long it is watched, with the same time. `lasts_us`: the
    length of the fault, 0 for to the end. `labels`: "before" if the service must have final labels before the shift,
    "all" if also after it.
    """

    words: str
    moves: str = ""
    serving: str = ""
    mitigation: Mitigation = ""
    within_days: float = 2.0
    after_days: int = 5
    labels: Literal["before", "all", ""] = ""
    lasts_us: int = 0


SHIFT_DRILLS: Mapping[str, ShiftDrill] = {
    "covariate-shift": ShiftDrill("", "covariate", mitigation="learn"),
    "label-shift": ShiftDrill("", "label", mitigation="learn", within_days=4, after_days=7, labels="before"),
    "concept-shift": ShiftDrill("", "concept", mitigation="learn", within_days=4, after_days=7, labels="all"),
    "black-friday": ShiftDrill("", "demand", lasts_us=DAY_US, after_days=4),
    "dependency-down": ShiftDrill(
        "the state store cannot be read for a day",
        serving="away",
        mitigation="return",
        within_days=1.5,
        after_days=3,
        lasts_us=DAY_US,
    ),
    "pipeline-bug": ShiftDrill(
        "a release of the same model with a bug: it reads fractions ten times as large, and histories as empty",
        serving="misread",
        mitigation="rollback",
        after_days=4,
    ),
}
FORMED = ("covariate-shift", "label-shift", "concept-shift")
"""The drills that take a form; the others begin at once."""


def share_at(form: ShiftForm, at_us: int, begin_us: int, lasts_us: int = 0) -> float:
    """To what extent the world is shifted: at once, in seven days, or each weekend, also before `begin_us`.

    >>> monday_us = 1_767_571_200_000_000
    >>> [share_at("gradual", monday_us + days * DAY_US, monday_us) for days in (-1, 0, 3.5, 9)]
    [0.0, 0.0, 0.5, 1.0]
    >>> [share_at("seasonal", monday_us + days * DAY_US, monday_us) for days in (-1, 0, 4, 5)]
    [1.0, 0.0, 0.0, 1.0]
    """
    if form == "seasonal":
        return float(datetime.fromtimestamp(at_us // 1_000_000, UTC).weekday() >= 5)
    if at_us < begin_us or (lasts_us and at_us >= begin_us + lasts_us):
        return 0.0
    return 1.0 if form == "sudden" else min(1.0, (at_us - begin_us) / RAMP_US)
