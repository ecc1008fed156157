"""The faults that a drill of monitors plants, each with its cause."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from flyball.simulation.data_faults import FAULTS, HOUR_US
from flyball.simulation.monitored import PlantedFault

FaultCause = Literal["own", "covariate", "label", "concept"]
CAUSES: tuple[FaultCause, ...] = ("own", "covariate", "label", "concept")
CONTROL = "nothing"


class MonitorFault(Struct, frozen=True):
    """A fault with its `cause`. `words`: a description, "" where the world says it. `days`: how long it is watched.

    `data`: the name of a fault of data. `serving`, `stalled`: as of `PlantedFault`. `moves`: the kind of change of the
    world. `by_labels`: whether only labels show it, so that it is watched for as long as they take in addition.
    """

    cause: FaultCause
    words: str = ""
    days: int = 2
    data: str = ""
    serving: str = ""
    stalled: bool = False
    moves: str = ""
    by_labels: bool = False

    def planted(self, begin_us: int) -> PlantedFault:
        """The fault as it is planted from `begin_us` on."""
        return PlantedFault(
            begin_us, data=FAULTS[self.data] if self.data else None, serving=self.serving, stalled=self.stalled
        )


MONITOR_FAULTS: Mapping[str, MonitorFault] = {
    **{
        name: MonitorFault("own", fault.words, data=name)
        for name, fault in FAULTS.items()
        if not fault.live and not fault.divided
    },
    "dependency-down": MonitorFault("own", "the state store cannot be read", serving="away"),
    "stalled-consumer": MonitorFault("own", "the consumer of features stands still", stalled=True),
    "pipeline-bug": MonitorFault("own", "a release reads fractions ten times as large", 3, serving="misread"),
    "stuck-answers": MonitorFault("own", "versions repeat their first answer", serving="stuck"),
    "covariate-shift": MonitorFault("covariate", moves="covariate", days=3),
    "label-shift": MonitorFault("label", moves="label", days=7),
    "concept-shift": MonitorFault("concept", moves="concept", days=3, by_labels=True),
}
"""The faults by name; those of the world are planted where it has the kind of change, and no fault of data that only
times of arrival show, since a line is known when it happens in this drill, nor one of a source, since all lines come
from one before it."""


def window_us(label_us: int) -> int:
    """How often is looked, microseconds: each six hours, and each day where labels take more than one."""
    return 24 * HOUR_US if label_us > 24 * HOUR_US else 6 * HOUR_US
