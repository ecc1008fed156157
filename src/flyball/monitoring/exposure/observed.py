"""What the monitor of the feedback loop sees each day: whether what was drawn at random came to be shown more."""

from collections.abc import Iterator

import numpy as np

from flyball.core import SignedInts, find_zone
from flyball.monitoring.exposure.lists import Numbered, consumed, ranking_task, shown_lists
from flyball.monitoring.exposure.loop import count_items, loop_gain
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.watch.daily import ExtraMonitor, each_day
from flyball.monitoring.watch.suspected import Suspicions
from flyball.runtime import Runtime

LEAST_GAIN = 0.2
"""So many further exposures for each one are worth a finding; at 1 exposure grows from nothing but itself."""
WEEK = 7
_DAY_US = 86_400_000_000


def exposure_monitor(runtime: Runtime) -> ExtraMonitor:
    """The monitor of the feedback loop for a `Watcher`: of each day, once its last window `[since_us, until_us)` ended.

    It sees nothing without a randomized slice. The gain is of the draws of as many days as the application declares to
    look back at (`watch(days=...)`).
    """
    zone, days = find_zone(runtime.settings.zone), runtime.app.watch.days

    def look(until_us: int, _: Suspicions) -> list[Observation]:
        if not runtime.app.task.about.arrangement.get("randomized_share"):
            return []
        return list(observe_loop(runtime, until_us=until_us, days=days))

    return each_day(zone, look)


def observe_loop(runtime: Runtime, *, until_us: int, days: int) -> Iterator[Observation]:
    """The observation of the day whose draws are a week old at `until_us`; none without draws.

    The week before a draw is compared with the week after it. The e-value is of the draws of that one day: each draw is
    looked at once, so the e-values of days may be multiplied, however their weeks overlap. The gain is of the draws of
    the `days` days up to it.
    """
    ranking_task(runtime)
    users, items = Numbered(), Numbered()
    first_us = until_us - (days + 2 * WEEK) * _DAY_US
    lists = shown_lists(runtime, "", first_us, until_us, users, items)
    if not lists.randomized.any():
        return
    consumption = consumed(runtime, lists, _DAY_US, users, items)
    each_day = [(start_us, start_us + _DAY_US) for start_us in range(first_us, until_us, _DAY_US)]
    counts = count_items(lists, consumption, each_day, len(items))
    yield from loop_observation(counts.shown, counts.drawn, counts.popularity)


def loop_observation(shown: SignedInts, drawn: SignedInts, popularity: SignedInts) -> Iterator[Observation]:
    """Of counts by day, (days, items): the draws of the last day that has a week behind it, and of all that have two.

    Each draw is compared within its day, by what was shown in the week before and in the week after it.
    """
    totals = np.concatenate([np.zeros((1, shown.shape[1]), np.int64), np.cumsum(shown, axis=0)])
    at = np.arange(WEEK, len(shown) - WEEK)
    before, after = totals[at] - totals[at - WEEK], totals[at + 1 + WEEK] - totals[at + 1]
    latest = loop_gain(before[-1:], drawn[at[-1:]], after[-1:], popularity[at[-1:]])
    gain = loop_gain(before, drawn[at], after, popularity[at], permutations=0)
    if latest is None or gain is None:
        return
    drawn_times = int(drawn[at].sum())
    message = (
        f"what was shown comes back: each of {drawn_times:,} random draws of {len(at)} days led to {gain.effect:.2f} "
        f"({gain.low:.2f} to {gain.high:.2f}) further exposures of its item in the week after it"
    )
    yield Observation(
        "feedback_loop",
        "lists",
        latest.e_value,
        gain.effect >= LEAST_GAIN,
        message,
        "high" if gain.effect >= 1 else "low",
        "own",
        evidence={"gain": gain.effect, "low": gain.low, "high": gain.high, "draws": drawn_times, "days": len(at)},
    )
