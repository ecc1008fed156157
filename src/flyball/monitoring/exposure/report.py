"""What the lists of an application showed, period by period and version by version."""

import math
from collections.abc import Sequence

from msgspec import Struct

from flyball.core import BadInput, Refused, format_duration
from flyball.evaluation import Estimate
from flyball.monitoring.exposure.item_groups import ItemGroupExposure, item_groups, measure_item_groups
from flyball.monitoring.exposure.lists import Numbered, consumed, ranking_task, shown_lists
from flyball.monitoring.exposure.loop import FeedbackLoop, count_items, feedback_loop
from flyball.monitoring.exposure.measures import measure_exposure
from flyball.monitoring.exposure.slice_cost import SliceCost, slice_cost
from flyball.monitoring.performance.log_time import log_time, window_advice
from flyball.monitoring.performance.report import measured_label
from flyball.runtime import Runtime

MOST_PERIODS = 400


class ExposureRow(Struct, frozen=True):
    """The lists of `[since_us, until_us)` outside the randomized slice. `version`: which one made them, "" for all.

    `measures`: of `EXPOSURE_MEASURES`, without those that are undefined.
    """

    since_us: int
    until_us: int
    version: str
    lists: int
    users: int
    measures: dict[str, Estimate]


class ExposureReport(Struct, frozen=True):
    """Periods of `every_us` with lists, by time: a row for all lists, then one for each version if there were several.

    `items`: of the catalog, as known now. `lists`: all, with those of the randomized slice. `slice`: what that costs,
    by the lists whose label is final; None without a slice. `loop`: how exposure of a period follows that of the one
    before; None for a single period. `groups`: the groups of items by each field that was asked for, over all periods.
    """

    since_us: int
    until_us: int
    every_us: int
    items: int
    lists: int
    rows: tuple[ExposureRow, ...]
    slice: SliceCost | None = None
    loop: FeedbackLoop | None = None
    groups: tuple[ItemGroupExposure, ...] = ()


def exposure_report(
    runtime: Runtime,
    *,
    last_us: int,
    every_us: int,
    by: Sequence[str] = (),
    until_us: int | None = None,
    seed: int = 0,
) -> ExposureReport:
    """The exposure of items in the `last_us` microseconds before `until_us`, in periods of `every_us`.

    `by`: fields of the profile of items, whose values are groups of items. `until_us`: by default behind the latest
    event. Raises `BadInput` for lengths of which the first is not a multiple of the second and for what is no such
    field, `Refused` for an application without lists, or where none were shown.
    """
    if every_us < 1 or last_us < every_us or last_us % every_us or last_us // every_us > MOST_PERIODS:
        raise BadInput("length of what is looked at", f"1 to {MOST_PERIODS} periods long", format_duration(last_us))
    ranking_task(runtime)
    label = measured_label(runtime)
    end_us = log_time(runtime).as_of_us if until_us is None else until_us
    since_us = end_us - last_us
    users, items = Numbered(), Numbered()
    lists = shown_lists(runtime, label.name, since_us - label.within_us, end_us, users, items)
    shown = lists.between(since_us, end_us)
    if not len(shown):
        raise Refused(
            f"there must be lists in the {format_duration(last_us)} looked at, got none: "
            f"{window_advice(runtime, end_us)}"
        )
    consumption = consumed(runtime, lists, label.within_us, users, items)
    ranked, rows = shown.only(~shown.randomized), []
    for start_us in range(since_us, end_us, every_us):
        period = ranked.between(start_us, start_us + every_us)
        versions = sorted({version for version in period.version.tolist() if version})
        for version in ("", *(versions if len(versions) > 1 else ())) if len(period) else ():
            part = period if not version else period.only(period.version == version)
            measures = measure_exposure(part, consumption, start_us, start_us + every_us, seed)
            users_shown = len(set(part.user.tolist()))
            rows.append(ExposureRow(start_us, start_us + every_us, version, len(part), users_shown, measures))
    final = shown.only(shown.at_us + label.within_us <= end_us)
    periods = [(start_us, start_us + every_us) for start_us in range(since_us, end_us, every_us)]
    loop = feedback_loop(count_items(shown, consumption, periods, len(items)), seed) if len(periods) > 1 else None
    groups = [
        row
        for field in dict.fromkeys(by)
        for row in measure_item_groups(
            item_groups(runtime, field, items), ranked, consumption, since_us, end_us, seed=seed
        )
    ]
    return ExposureReport(
        since_us,
        end_us,
        every_us,
        consumption.items,
        len(shown),
        tuple(rows),
        slice=slice_cost(final),
        loop=loop,
        groups=tuple(groups),
    )


def half_width(estimate: Estimate) -> float:
    """Half the length of the interval; nan without one."""
    if estimate.low is None or estimate.high is None:
        return math.nan
    return (estimate.high - estimate.low) / 2
