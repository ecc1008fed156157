"""Who asks: whether the requests of a day are of the same users, as often, as those of the days before.

A list is made for a user, and its request holds nothing else. So inputs are distributed otherwise when other users come
than usual, or some of them much more often: the counts of a day are held against those of all days before by the
chi-square statistic of homogeneity. People come by habits and moods of their own, so what it is on a usual day is seen
from the days before, each held against the others.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from msgspec import Struct
from scipy import stats

from flyball.core import Doubles, find_zone
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.watch.accepted import accepted_shifts, reference_starts
from flyball.monitoring.watch.daily import ExtraMonitor, each_day
from flyball.monitoring.watch.season import FEWEST_DAYS
from flyball.monitoring.watch.suspected import Suspicions, first_suspicion, undoubted
from flyball.outcomes import records_between
from flyball.runtime import Runtime
from flyball.statistics import e_of_p
from flyball.tasks import About, references

_DAY_US = 86_400_000_000
_MONITOR = "shift"
_FEWEST_ASKERS = 30
_MOST_ASKERS = 100_000
"""Of more users a sample is counted, always the same users."""


class AskerChange(Struct, frozen=True):
    """How the requests of a day are spread over users, beside the days before.

    `dispersion`: chi-square over the number of users, `usual`: its mean on days before, `p`: the probability of so
    large a value on one more such day. `others`: the share of the requests that are of other users than by the days
    before, chance included, and `usual_others`: its mean on these days.
    """

    dispersion: float
    usual: float
    p: float
    others: float
    usual_others: float

    @property
    def distance(self) -> float:
        """The share of the requests that are of other users, without chance: deviations add as their squares do.

        With few requests of each user it is less than the true share.
        """
        return float(np.sqrt(max(0.0, self.others**2 - self.usual_others**2)))


def asker_monitor(runtime: Runtime) -> ExtraMonitor:
    """The monitor of who asks for a `Watcher`: of each day, once its last window ended; of tasks that answer lists."""
    zone = find_zone(runtime.settings.zone)

    def look(until_us: int, suspects: Suspicions) -> list[Observation]:
        return observe_askers(runtime, until_us, suspects) if runtime.app.task.about.items else []

    return each_day(zone, look)


def asker_table(about: About) -> str:
    """What findings call those who ask, such as "requests.user"; it is a table of inputs."""
    return f"requests.{next(iter(references(about.request).values()), 'key')}"


def observe_askers(runtime: Runtime, until_us: int, suspects: Suspicions) -> list[Observation]:
    """The observation of the day that ends at `until_us`; none without seven days before it that show what is usual."""
    table, days = asker_table(runtime.app.task.about), runtime.app.watch.days
    subject = f"{table}.requests"
    if {table, subject} & set(runtime.app.watch.ignore):
        return []
    since_us = until_us - (days + 1) * _DAY_US
    counts = count_askers(runtime, since_us, days + 1)
    first_us = reference_starts(accepted_shifts(runtime.registry)).get(subject, 0)
    known = [since_us + day * _DAY_US for day in range(days) if counts[day].any()]
    usual = undoubted(
        [start for start in known if start >= first_us], _DAY_US, first_suspicion(suspects, [_MONITOR], [subject])
    )
    change = asker_change([counts[(start - since_us) // _DAY_US] for start in usual], counts[days])
    if change is None:
        return []
    times = change.dispersion / max(change.usual, 1e-9)
    message = (
        f"{subject}: about {change.distance:.0%} of the requests or more are of other users than usual; how often "
        f"users ask differs {times:.2f} times as much from before as on other days"
    )
    evidence = {"p": change.p, "dispersion": change.dispersion, "usual": change.usual, "distance": change.distance}
    matters = change.distance >= runtime.app.watch.least
    e_value = float(e_of_p([max(change.p, 1e-300)])[0])
    return [Observation(_MONITOR, subject, e_value, matters, message, evidence=evidence)]


def count_askers(runtime: Runtime, since_us: int, days: int, most: int = _MOST_ASKERS) -> Doubles:
    """The answers to each user on each of `days` days from `since_us` on, shape (days, users).

    Of more than `most` users a sample.
    """
    counts: dict[str, Doubles] = {}
    mask = 0
    for record in records_between(runtime.predictions, since_us, since_us + days * _DAY_US):
        key = record.key
        if crc32(key.encode()) & mask:
            continue
        counts.setdefault(key, np.zeros(days))[(record.at - since_us) // _DAY_US] += 1
        if len(counts) > most:
            mask = 2 * mask + 1
            counts = {key: own for key, own in counts.items() if not crc32(key.encode()) & mask}
    return np.array(list(counts.values())).reshape(-1, days).T


def asker_change(before: Sequence[Doubles], now: Doubles) -> AskerChange | None:
    """How the counts `now`, shape (users,), differ from those of the days `before`; None with too few days or users.

    The value of the day is one more of a t distribution around those of the days before, whose standard deviation is
    at least that of chi-square: days that are compared with nearly the same days look more alike than they are.
    """
    if len(before) < FEWEST_DAYS or not now.any():
        return None
    total = np.sum(before, axis=0)
    users = int((total > 0).sum())
    if users < _FEWEST_ASKERS:
        return None
    parts = [_spread_over_users(total - own, own) for own in before]
    dispersions = np.array([dispersion for dispersion, _ in parts])
    dispersion, others = _spread_over_users(total, now)
    middle = float(dispersions.mean())
    variance = max(float(dispersions.var(ddof=1)), 2 * middle**2 / users) * (1 + 1 / len(parts))
    p = float(stats.t.sf((dispersion - middle) / np.sqrt(variance), len(parts) - 1)) if variance > 0 else 1.0
    return AskerChange(dispersion, middle, p, others, float(np.mean([share for _, share in parts])))


def _spread_over_users(reference: Doubles, now: Doubles) -> tuple[float, float]:
    """(chi-square over the number of users in the reference, the share of requests that are of others).

    Users that are not in the reference are new, and say nothing of the others.
    """
    known = reference > 0
    usual, count = reference[known], now[known]
    of_usual, of_now = usual.sum(), count.sum()
    if not of_now:
        return 0.0, 0.0
    ratio = np.sqrt(of_usual / of_now)
    squares = (count * ratio - usual / ratio) ** 2 / (count + usual)
    return float(squares.sum() / known.sum()), float(np.maximum(count / of_now - usual / of_usual, 0).sum())
