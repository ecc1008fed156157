"""What a run of learning is expected to bring and to cost, before it starts."""

import msgspec

from flyball.core import format_duration, format_second
from flyball.learning.freshness_report import HOW, FreshnessReport
from flyball.registry import Registry, searches_of
from flyball.releases import current

_RUNS = 3
_HOUR_US = 3_600_000_000


class Expectation(msgspec.Struct, frozen=True):
    """`gain`: in the metric to choose by, above 0 for better; None where it is not known. `cost_s`: seconds, the mean
    of the last runs, None before the first. `note`: where the gain comes from."""

    gain: float | None
    cost_s: float | None
    note: str


def expectation_of(registry: Registry, now_us: int) -> Expectation:
    """The gain from the last measurement of freshness, at the age of the champion; the cost from the last runs."""
    seconds = [float(run.report.get("seconds", 0.0)) for run in registry.runs() if run.status == "done"][-_RUNS:]
    cost_s = sum(seconds) / len(seconds) if seconds else None
    champion, report = current(registry).champion, last_freshness(registry)
    if report is None or champion is None:
        return Expectation(None, cost_s, "flyball freshness measures what newer data are worth")
    age_us = max(0, now_us - registry.version(champion).as_of_us)
    age = format_duration(age_us // _HOUR_US * _HOUR_US)
    note = f"{report.metric} that {champion}, {age} old, loses by age, measured at {format_second(report.as_of_us)}"
    return Expectation(report.loss_at(age_us), cost_s, note)


def last_freshness(registry: Registry) -> FreshnessReport | None:
    """The newest measurement of freshness that was kept; None without one."""
    for search in reversed(searches_of(registry)):
        if search.how == HOW and search.status == "done":
            return msgspec.convert(search.about, FreshnessReport)
    return None
