"""Reads exposures from the log of predictions."""

from collections.abc import Iterator, Sequence

from flyball.events import EventLog, Offsets
from flyball.experiments.exposures import Exposed, ExposedUnits, FirstExposures
from flyball.outcomes import Prediction, prediction_of, records_between
from flyball.releases import Release, unit_of

LATEST_US = 1 << 62


def exposures_of(
    log: EventLog, release: Release, slices: Sequence[str] = (), until_us: int = LATEST_US
) -> Iterator[Exposed]:
    """Every response that took part in `release`, partition by partition, in order of the log.

    `slices`: the fields of the request to keep. Requests without a unit do not take part.
    """
    first_us, end_us = _times(release)
    for record in records_between(log, first_us, min(until_us, end_us)):
        prediction = prediction_of(record)
        exposed = exposed_by(prediction, release, record.known_at, slices)
        if exposed is not None:
            yield exposed


def exposed_by(prediction: Prediction, release: Release, known_us: int, slices: Sequence[str] = ()) -> Exposed | None:
    """The exposure by one response, None if it did not take part."""
    for exposure in prediction.exposures:
        if exposure.release == release.id:
            unit = unit_of(release.unit, prediction.key, prediction.request)
            if unit is None:
                return None
            fields = {name: str(prediction.request.get(name) or "") for name in slices}
            return Exposed(unit, exposure.arm, exposure.propensity, prediction.at_us, known_us, prediction.id, fields)
    return None


class ExposureReader:
    """The units of a release that is under way, looked at again and again: each record of the log is read once."""

    def __init__(self, log: EventLog, release: Release) -> None:
        self._log, self._release = log, release
        self._read: Offsets = ()
        self._later: list[Exposed] = []
        self._as_of_us = 0
        self._firsts = FirstExposures()

    def is_of(self, release: Release) -> bool:
        """Whether it reads this release from its present start on, which moves when the clock is set back."""
        return (release.id, release.started_us) == (self._release.id, self._release.started_us)

    def units(self, as_of_us: int) -> ExposedUnits:
        """What `first_exposures` says of the log at `as_of_us`; after a clock was set back, all is read again."""
        if as_of_us < self._as_of_us:
            self._read, self._later, self._firsts = (), [], FirstExposures()
        self._as_of_us = as_of_us
        later, self._later = self._later, []
        for exposed in (*later, *self._new()):
            if not self._firsts.add(exposed, as_of_us):
                self._later.append(exposed)
        return self._firsts.units()

    def _new(self) -> Iterator[Exposed]:
        release, read = self._release, self._read
        first_us, end_us = _times(release)
        self._read = self._log.ends()  # what is appended meanwhile is read twice, which changes nothing
        for record in records_between(self._log, first_us, end_us, read):
            exposed = exposed_by(prediction_of(record), release, record.known_at)
            if exposed is not None:
                yield exposed


def _times(release: Release) -> tuple[int, int]:
    """[first, end) of the answers that took part; after the clock was set back, they may lie behind its end."""
    first_us = release.started_us or release.created_us
    if not release.ended_us:
        return first_us, LATEST_US
    if release.ended_us < first_us:  # set back, and ended before the controller saw it
        return 0, LATEST_US
    return first_us, LATEST_US if release.set_back_us else release.ended_us + 1
