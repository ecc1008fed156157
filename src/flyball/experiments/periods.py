"""Analyzes switchbacks: all units of a market get one arm for a period, and periods are compared, not users."""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from flyball.core import BadInput, Refused
from flyball.events import EventLog
from flyball.experiments.exposures import CONTROL
from flyball.experiments.prediction_rows import NOTHING, PredictionRows
from flyball.outcomes import prediction_of, records_between
from flyball.releases import Release, unit_of
from flyball.statistics import Inference, Sums, anytime, ratio_contrast, welch

FEWEST_PERIODS = 8
PERIOD_BURN_IN = 50
"""Periods in each arm before an interval for every look is given, because it is asymptotic in periods."""


class PeriodAnswer(msgspec.Struct, frozen=True):
    """One response. `market`: the unit that alternates, such as a city, "" for all. `number`: its value. `weight`: how
    many responses it stands for, see `PredictionRows`."""

    market: str
    at_us: int
    arm: str
    number: float
    weight: float = 1.0


def compare_periods(
    answers: Iterable[PeriodAnswer],
    period_us: int,
    carry_over_us: int = 0,
    arm: str = "candidate",
    alpha: float = 0.05,
    higher_is_better: bool = True,
    n_best: float | None = None,
) -> Inference:
    """The effect of the arm when all units get it. The units of the analysis are periods, assigned independently.

    The metric is a ratio of two sums over periods, with an interval by the delta method. `n_best`: the number of
    periods of both arms at which an interval that is valid at every look is narrowest; it is given once each arm has
    `PERIOD_BURN_IN` periods. None: an interval for one look. `carry_over_us`: the time at the beginning of each period
    that is left out, because the previous period still has an effect.

    Raises `BadInput` for a carry-over as long as a period. Raises `Refused` for fewer than 8 periods in an arm, and if
    both arms answered in one period, which is not a switchback.
    """
    if not 0 <= carry_over_us < period_us:
        raise BadInput("carry_over_us", f"from 0 to below the period of {period_us} us", carry_over_us)
    sums: dict[tuple[str, int], list[float]] = {}
    arms: dict[tuple[str, int], str] = {}
    for answer in answers:
        period = answer.market, answer.at_us // period_us
        if arms.setdefault(period, answer.arm) != answer.arm:
            raise Refused(f"a period must be of one arm, got {arms[period]} and {answer.arm} in period {period[1]}")
        if answer.at_us % period_us >= carry_over_us:
            total = sums.setdefault(period, [0.0, 0.0])
            total[0] += answer.weight * answer.number
            total[1] += answer.weight
    tables = [np.array([total for key, total in sorted(sums.items()) if arms[key] == name]) for name in (CONTROL, arm)]
    if min(len(table) for table in tables) < FEWEST_PERIODS:
        got = " and ".join(str(len(table)) for table in tables)
        raise Refused(f"each arm must have {FEWEST_PERIODS} periods or more to be compared, got {got}: wait")
    contrast = ratio_contrast(Sums.of(tables[0]), Sums.of(tables[1]))
    if n_best is None:
        inference = welch(contrast, alpha, higher_is_better=higher_is_better)
    else:
        inference = anytime(contrast, n_best, alpha, higher_is_better=higher_is_better, burn_in=PERIOD_BURN_IN)
    constants = {**inference.constants, "period_us": float(period_us), "carry_over_us": float(carry_over_us)}
    return msgspec.structs.replace(inference, method="switchback, periods as units", constants=constants)


def period_answers(log: EventLog, release: Release, rows: PredictionRows, as_of_us: int) -> Iterator[PeriodAnswer]:
    """The responses of a switchback release with final labels; `release.unit` names what alternates."""
    first_us = release.started_us or release.created_us
    followed = rows.followed(first_us)
    for record in records_between(log, first_us, as_of_us - rows.label.within_us + 1):
        prediction = prediction_of(record)
        number = rows.number_of(prediction, followed.get(prediction.id, NOTHING))
        market = unit_of(release.unit, "", prediction.request)
        for exposure in prediction.exposures:
            if exposure.release == release.id and number is not None and record.known_at <= as_of_us:
                yield PeriodAnswer(market or "", prediction.at_us, exposure.arm, number, rows.weight_of(prediction))
