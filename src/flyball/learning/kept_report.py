"""Keeps the report of a measurement among the searches of the registry."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from flyball.registry import Search, SearchTrial, add_trial, begin_search, end_search
from flyball.runtime import Runtime


class KeptReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the reports of all measurements have in common. `metric`: the one to choose by; `search`: the id of the
    report once it is kept."""

    app: str
    search: str = ""
    metric: str
    seed: int
    as_of_us: int
    snapshot: str


AnyReport = TypeVar("AnyReport", bound=KeptReport)


def kept_report(
    runtime: Runtime, report: AnyReport, how: str, trials: Sequence[SearchTrial], *, budget: int
) -> AnyReport:
    """The same with its id, now among the searches with `trials`. `how`: how the registry names it; `budget`: the most
    fits."""
    registry = runtime.registry
    search = begin_search(
        registry,
        Search(
            id="",
            app=report.app,
            how=how,
            budget=budget,
            seed=report.seed,
            metric=report.metric,
            as_of_us=report.as_of_us,
            snapshot=report.snapshot,
            started_us=report.as_of_us,
            status="running",
        ),
    )
    for trial in trials:
        add_trial(registry, search, trial)
    report = msgspec.structs.replace(report, search=search.id)
    end_search(registry, search, "done", runtime.clock.now_us(), msgspec.to_builtins(report))
    return report
