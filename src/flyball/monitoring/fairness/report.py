"""Quality per declared group of the answers of the last days."""

from datetime import datetime, tzinfo

import numpy as np
from msgspec import Struct

from flyball.core import Refused, SignedInts, find_zone, format_duration
from flyball.evaluation import GroupComparison
from flyball.monitoring.fairness.live import compare_live
from flyball.monitoring.fairness.sampling import SamplingTimes, sampling_times
from flyball.monitoring.performance.log_time import final_label_advice, lag_text, log_time
from flyball.monitoring.performance.logged import logged
from flyball.monitoring.performance.report import measured_label
from flyball.runtime import Runtime

_DAY_US, _QUARTER_US = 86_400_000_000, 900_000_000


class FairnessReport(Struct, frozen=True):
    """The answers in `[since_us, until_us)`, of one version, or of all with `version` "".

    `answers`, `labeled`: how many there were, and how many of them have a final label, which takes `within_us`.
    `compared`: the groups of each declared attribute; `sampling`: whose labels are late or missing.
    `lag`: that the log lags behind the clock, by which no later label is final; "" otherwise.
    `share`: the part of all answers that was looked at and is counted here, 1 unless there are very many.
    """

    label: str
    version: str
    since_us: int
    until_us: int
    within_us: int
    answers: int
    labeled: int
    compared: tuple[GroupComparison, ...]
    sampling: tuple[SamplingTimes, ...]
    lag: str = ""
    share: float = 1.0


def fairness_report(
    runtime: Runtime,
    *,
    days: int,
    version: str = "",
    label: str = "",
    until_us: int | None = None,
    seed: int = 0,
) -> FairnessReport:
    """Compare the groups by the answers whose labels became final in the `days` before `until_us`.

    `until_us`: by default behind the latest event. `version`: of which answers, by default of all. `label`: by default
    the first of the task. Raises `Refused` for a task without groups, and without such answers.
    """
    about = runtime.app.task.about
    if not about.groups:
        raise Refused(
            'the task must declare groups, such as groups=("region",), got none: name fields of the request by which '
            "quality must be equal"
        )
    chosen = measured_label(runtime, label)
    as_of_us = log_time(runtime).as_of_us if until_us is None else until_us
    end_us = as_of_us - chosen.within_us
    since_us = end_us - days * _DAY_US
    rows = logged(runtime, chosen, since_us, end_us, as_of_us, (*about.groups, "version"))
    if version:
        rows = rows.only(rows.slices["version"] == version)
    if not rows.labeled.any():
        raise Refused(
            f"there must be answers{f' of {version}' if version else ''} with a final label, which takes "
            f"{format_duration(chosen.within_us)}, in the {days} days looked at, got none: "
            f"{final_label_advice(runtime, chosen.within_us, since_us, as_of_us, version)}"
        )
    hour_of = _hours(rows.at_us, find_zone(runtime.settings.zone))
    count = len(about.groups)
    return FairnessReport(
        label=chosen.name,
        version=version,
        since_us=since_us,
        until_us=end_us,
        within_us=chosen.within_us,
        answers=len(rows),
        labeled=int(rows.labeled.sum()),
        compared=tuple(compare_live(rows, by, seed=seed, attributes=count) for by in about.groups),
        sampling=tuple(
            sampling_times(rows, by, hour_of, chosen.within_us, seed=seed, attributes=count) for by in about.groups
        ),
        lag=lag_text(runtime) if until_us is None else "",
        share=rows.share,
    )


def _hours(at_us: SignedInts, zone: tzinfo) -> SignedInts:
    """The hour of the day of each time; clocks change on a quarter of an hour, so each quarter is looked up once."""
    quarters, quarter_of = np.unique(at_us // _QUARTER_US, return_inverse=True)
    hours = [datetime.fromtimestamp(quarter * _QUARTER_US // 1_000_000, zone).hour for quarter in quarters.tolist()]
    return np.array(hours, np.int64)[quarter_of]
