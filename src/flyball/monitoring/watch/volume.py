"""How many rows a window should have, from windows before it; and how unusual the number is.

The expectation of the log of the number is the mean of the windows at the same time on the same weekday (or, in the
first weeks, on all days), moved by how far the latest windows were off. The scale of the error is that of the same
forecast in the past; it is robust, so that an earlier outage does not hide the next one.

Rows often come in clusters: a film that is watched is a row a minute. An hour in which two people watch varies far more
than one in which two hundred do, and may well have no row at all. So the number is also held against a Poisson number
of clusters of equal size, the index of dispersion of the past (variance by mean; Cox and Lewis, 1966), and the higher
of the two p-values counts.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from scipy import special, stats

from flyball.core import Doubles
from flyball.monitoring.findings.finding import FaultOrigin, Severity
from flyball.monitoring.findings.observation import Observation
from flyball.statistics import e_of_p

VOLUME = "volume"
_LEAST_CHANGE = 0.3
_FEWEST_ROWS = 5
_FEWEST_ERRORS = 7
_DEGREES = 8.0
_MAD_TO_DEVIATION = 1.4826


class VolumeForecast(Struct, frozen=True):
    """`expected`: rows, and `low`, `high`: what 19 of 20 usual windows are within; `p`: of a number as far off."""

    expected: float
    low: float
    high: float
    p: float


def forecast_volume(counts: Mapping[int, int], start_us: int, season_us: Sequence[Sequence[int]]) -> VolumeForecast:
    """Forecast the rows of the window that begins at `start_us`, and compare them with `counts[start_us]`.

    `counts`: rows by the start of windows. `season_us`: for this window and for earlier ones, the latest first, their
    start followed by the starts of the windows that they are like, those that `counts` lacks are skipped. Returns a p
    of 1 while there are fewer than 7 earlier windows to forecast.
    """
    errors, unevenness, now = list[float](), list[float](), 0.0
    rows = counts.get(start_us, 0)
    for number, (own_us, *like_us) in enumerate(season_us):
        known = np.array([counts[like] for like in like_us if like in counts], float)
        if not known.size or (own_us not in counts and number):
            continue
        usual = float(np.mean(np.log(known + 0.5)))
        if number:
            errors.append(float(np.log(counts[own_us] + 0.5) - usual))
            mean = float(np.mean(known)) + 0.5
            unevenness.append((counts[own_us] - mean) / float(np.sqrt(mean)))
        else:
            now = usual
    if len(errors) < _FEWEST_ERRORS:
        return VolumeForecast(float(np.exp(now)), 0.0, float(np.inf), 1.0)
    level, scale = level_and_scale(np.array(errors))
    mean = float(np.exp(now + level))
    cluster = max(1.0, _robust_scale(np.array(unevenness)) ** 2)
    deviation = float(np.hypot(scale, 1 / np.sqrt(mean + 0.5)))
    off = (np.log(rows + 0.5) - np.log(mean)) / deviation
    reach = float(np.exp(stats.t.ppf(0.975, _DEGREES) * deviation))
    low, high = (float(cluster * stats.poisson.ppf(share, mean / cluster)) for share in (0.025, 0.975))
    p = max(float(2 * stats.t.sf(abs(off), _DEGREES)), _clustered_p(rows / cluster, mean / cluster))
    return VolumeForecast(mean, min(mean / reach, low), max(mean * reach, high), p)


def _clustered_p(clusters: float, mean: float) -> float:
    """Two-sided, of a Poisson number of clusters, also between whole numbers."""
    fewer = float(special.gammaincc(clusters + 1, mean))
    more = float(special.gammainc(clusters, mean)) if clusters else 1.0
    return min(1.0, 2 * min(fewer, more))


def level_and_scale(errors: Doubles) -> tuple[float, float]:
    """The median of the errors, and their deviation from it, robust but no less than nine of ten of them show."""
    level = float(np.median(errors))
    return level, _robust_scale(errors - level)


def _robust_scale(off: Doubles) -> float:
    """The deviation from zero that half and nine of ten of them show, the larger."""
    robust = _MAD_TO_DEVIATION * float(np.median(np.abs(off)))
    return max(robust, float(np.quantile(np.abs(off), 0.9)) / float(stats.norm.ppf(0.95)))


def observe_volume(
    table: str, counts: Mapping[int, int], start_us: int, season_us: Sequence[Sequence[int]]
) -> Observation:
    """The observation of the volume of a table; for the arguments see `forecast_volume`.

    It matters if 3 of 10 rows or more are missing, or as many more than expected came as 3 of 10 of all are.
    """
    forecast, rows = forecast_volume(counts, start_us, season_us), counts.get(start_us, 0)
    most = max(forecast.expected, rows)
    matters = most >= _FEWEST_ROWS and abs(rows - forecast.expected) / most >= _LEAST_CHANGE
    fewer = rows < forecast.expected
    message = (
        f"{table} had {rows:,} rows, expected {forecast.expected:,.0f} ({forecast.low:,.0f} to {forecast.high:,.0f})"
    )
    evidence = {"rows": rows, "expected": round(forecast.expected, 1), "p": forecast.p}
    severity: Severity = "high" if fewer and rows < forecast.expected / 2 else "low"
    origin: FaultOrigin = "own" if fewer else "unknown"
    e_value = float(e_of_p(forecast.p))
    return Observation(VOLUME, table, e_value, matters, message, severity, origin, evidence)
