"""Exposures as the log of predictions has them."""

from collections.abc import Iterator, Sequence

from flyball.events import EventLog
from flyball.experiments.exposures import Exposed
from flyball.outcomes import Prediction, prediction_of, records_between
from flyball.releases import Release, unit_of

LATEST_US = 1 << 62


def exposures_of(
    log: EventLog, release: Release, slices: Sequence[str] = (), until_us: int = LATEST_US
) -> Iterator[Exposed]:
    """Every answer that took part in `release`, by partition in order of the log; one at a time.

    `slices`: the fields of the request to keep. Requests without a unit took no part.
    """
    first_us = release.started_us or release.created_us
    last_us = min(until_us, release.ended_us + 1 if release.ended_us else LATEST_US)
    for record in records_between(log, first_us, last_us):
        prediction = prediction_of(record)
        exposed = exposed_by(prediction, release, record.known_at, slices)
        if exposed is not None:
            yield exposed


def exposed_by(prediction: Prediction, release: Release, known_us: int, slices: Sequence[str] = ()) -> Exposed | None:
    """The exposure that one answer was, None where it took no part."""
    for exposure in prediction.exposures:
        if exposure.release == release.id:
            unit = unit_of(release.unit, prediction.key, prediction.request)
            if unit is None:
                return None
            fields = {name: str(prediction.request.get(name) or "") for name in slices}
            return Exposed(unit, exposure.arm, exposure.propensity, prediction.at_us, known_us, prediction.id, fields)
    return None
