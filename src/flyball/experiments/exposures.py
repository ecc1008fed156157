"""The units of an experiment: their first exposure and arm."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import polars as pl

from flyball.core import Refused

CONTROL = "control"
_MIXED = (
    "shares of more than two arms must be the same all the time to compare their units, got {first:.2%} and "
    "{later:.2%} of {arm}: in a bandit they follow the rewards, so arms have their units at different times. "
    "flyball releases show has the mean reward of each arm by its propensities; for intervals declare fb.ab(...), "
    "or a bandit of two arms"
)


class Exposed(msgspec.Struct, frozen=True):
    """One response that a unit got as part of the experiment.

    `propensity`: of `arm`, among the units that took part at that time. `id`: of the response, to sort responses of one
    time. `known_us`: when the response was in the log. `fields`: the request's fields by which results are sliced.
    """

    unit: str
    arm: str
    propensity: float
    at_us: int
    known_us: int
    id: str = ""
    fields: Mapping[str, str] = {}


class ExposedUnits(msgspec.Struct, frozen=True):
    """Each unit once, by its first exposure.

    `frame`: columns `unit, arm, stratum, at` (microseconds) and one for each slice. `arms`: control first. `shares`:
    {stratum: {arm: its declared share}}. `switched`: number of units that were later exposed to another arm.
    """

    frame: pl.DataFrame
    arms: tuple[str, ...]
    shares: dict[str, dict[str, float]]
    switched: int = 0

    def counts(self) -> dict[str, dict[str, int]]:
        """{stratum: {arm: units}}."""
        rows = {row[:2]: row[2] for row in self.frame.group_by("stratum", "arm").len().iter_rows()}
        return {stratum: {arm: rows.get((stratum, arm), 0) for arm in self.arms} for stratum in self.shares}


def first_exposures(
    exposures: Iterable[Exposed], as_of_us: int, slices: Sequence[str] = (), control: str = CONTROL
) -> ExposedUnits:
    """The first exposure of each unit among those known at `as_of_us`, in whatever order they come.

    A stratum is a period with one split, such as a step of a ramp, and is identified by the propensities. A unit
    belongs to the stratum and arm of its first exposure, even if a ramp assigns it to another arm later (intention to
    treat). Raises `Refused` if the shares of more than two arms changed, because one propensity does not identify a
    stratum then.
    """
    taken = FirstExposures()
    for exposed in exposures:
        taken.add(exposed, as_of_us)
    return taken.units(slices, control)


class FirstExposures:
    """The first exposure of each unit so far, and how many units were seen in several arms."""

    def __init__(self) -> None:
        self._firsts: dict[str, Exposed] = {}
        self._several: set[str] = set()

    def add(self, exposed: Exposed, as_of_us: int) -> bool:
        """Take an exposure in; False, and nothing done, when it was not known at `as_of_us`."""
        if exposed.known_us > as_of_us or exposed.at_us > as_of_us:
            return False
        first = self._firsts.setdefault(exposed.unit, exposed)
        if first.arm != exposed.arm:
            self._several.add(exposed.unit)
        if (exposed.at_us, exposed.id, exposed.arm) < (first.at_us, first.id, first.arm):
            self._firsts[exposed.unit] = exposed
        return True

    def units(self, slices: Sequence[str] = (), control: str = CONTROL) -> ExposedUnits:
        """The units, their arms and strata; raises `Refused` as `first_exposures` does."""
        return _exposed_units(self._firsts, len(self._several), slices, control)


def _exposed_units(firsts: Mapping[str, Exposed], switched: int, slices: Sequence[str], control: str) -> ExposedUnits:
    arms = _arms({first.arm for first in firsts.values()}, control)
    strata = _strata(firsts.values(), arms, control)
    rows = sorted(firsts.values(), key=lambda first: first.unit)
    columns: dict[str, list[object]] = {
        "unit": [row.unit for row in rows],
        "arm": [row.arm for row in rows],
        "stratum": [_stratum(row, arms, control) for row in rows],
        "at": [row.at_us for row in rows],
        **{name: [row.fields.get(name, "") for row in rows] for name in slices},
    }
    schema = {"unit": pl.String, "arm": pl.String, "stratum": pl.String, "at": pl.Int64}
    frame = pl.DataFrame(columns, schema={**schema, **dict.fromkeys(slices, pl.String)})
    return ExposedUnits(frame, arms, strata, switched)


def _arms(seen: set[str], control: str) -> tuple[str, ...]:
    return (control, *sorted(seen - {control}))


def _stratum(exposed: Exposed, arms: Sequence[str], control: str) -> str:
    """The name of a stratum: the candidate's share in percent; with more than two arms there is only one stratum."""
    if len(arms) > 2:
        return "all"
    share = 1.0 - exposed.propensity if exposed.arm == control else exposed.propensity
    return f"{100 * share:.4g} %"


def _strata(firsts: Iterable[Exposed], arms: Sequence[str], control: str) -> dict[str, dict[str, float]]:
    shares: dict[str, dict[str, float]] = {}
    for exposed in firsts:
        own = shares.setdefault(_stratum(exposed, arms, control), {})
        if len(arms) > 2:
            if abs(own.setdefault(exposed.arm, exposed.propensity) - exposed.propensity) > 1e-9:
                raise Refused(_MIXED.format(arm=exposed.arm, first=own[exposed.arm], later=exposed.propensity))
        else:
            other = next((arm for arm in arms if arm != exposed.arm), exposed.arm)
            own |= {exposed.arm: exposed.propensity, other: 1.0 - exposed.propensity}
    by_share = sorted(shares, key=lambda name: 1.0 - shares[name].get(control, 0.0))
    return {name: {arm: shares[name].get(arm, 0.0) for arm in arms} for name in by_share}
