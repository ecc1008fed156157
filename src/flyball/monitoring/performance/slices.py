"""What predictions are sliced by: fields of the request, of the answer, and the groups that the task declares."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from flyball.features import read_apply_delays
from flyball.outcomes import Prediction
from flyball.runtime import FEATURES_CONSUMER, STATE_CONSUMER, Runtime
from flyball.tasks import MISSING_GROUP, About, GroupsRequests, ServingLag

if TYPE_CHECKING:
    import polars as pl

OF_ANSWERS = ("version", "level", "decision")
"""What predictions are sliced by besides the fields of their request."""


def slice_names(about: About) -> tuple[str, ...]:
    """What predictions of the task may be sliced by."""
    fields = (name for name in about.request.__struct_fields__ if name not in ("at", "known_at"))
    return tuple(dict.fromkeys((*OF_ANSWERS, *fields, *about.groups)))


def slices_of(runtime: Runtime, answers: Sequence[Prediction], by: Sequence[str]) -> dict[str, NDArray[np.object_]]:
    """{name: the slice of each answer}, "none" for a missing value; names are of `slice_names`."""
    fields = (*OF_ANSWERS, *runtime.app.task.about.request.__struct_fields__)
    slices = {name: objects(_slice(answer, name) for answer in answers) for name in by if name in fields}
    others = [name for name in by if name not in fields]
    offline = runtime.app.task.offline() if others else None
    if isinstance(offline, GroupsRequests):
        at_us = np.array([answer.at_us for answer in answers], np.int64)
        groups = offline.groups_of_requests(_HistoryPast(runtime), [answer.request for answer in answers], at_us)
        slices |= {name: objects(group or MISSING_GROUP for group in groups[name]) for name in others}
    return {name: slices[name] for name in by}


def _slice(answer: Prediction, name: str) -> str:
    value = getattr(answer, name) if name in OF_ANSWERS else answer.request.get(name)
    return MISSING_GROUP if value is None or value == "" else str(value)


def objects(values: Iterable[object]) -> NDArray[np.object_]:
    """An array of objects, shape (n,), also of values that are sequences."""
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array


class _HistoryPast:
    """All events of the history, as groups are read from them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.as_of_us = runtime.history.latest_at_us() + 1
        delays = read_apply_delays(runtime.apply_delays_path)
        lags = [delays[name].p99_us if name in delays else 0 for name in (STATE_CONSUMER, FEATURES_CONSUMER)]
        self.lag = ServingLag(*lags)

    def events(self, name: str) -> "pl.DataFrame":
        return self._runtime.history.events(name)

    def shown(self, keys: Collection[str], start_us: int, end_us: int) -> Any:
        return {}, {}

    def before(self, at_us: int) -> Self:
        return self
