"""How long requests wait in a queue, and how many serving processes answer enough of them in time.

Each process has a queue of its own, and requests go to processes at random, so arrivals at each are Poisson. A process
takes all that wait, up to a batch, and is busy for a fixed time and a time for each of them, both varied as measured (a
queue with bulk service; with batches of 1 it is M/G/1). In one queue for all processes requests would wait less, so the
number found here is enough for it, too. Waiting times are simulated.

Source: Bailey, "On queueing processes with bulk service", J. Royal Statistical Society B 1954.
"""

import math
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Refused

Floats64 = NDArray[np.float64]

BUSIEST = 0.8
"""The most that a process may be busy: nearer to 1, small errors of a measurement change waiting times by much."""
BATCH = 32
_ARRIVALS, _WARM_UP = 100_000, 5_000
_RATES = 60


class BulkService(msgspec.Struct, frozen=True):
    """How a process answers: a batch of n requests keeps it busy for `fixed_s + n * each_s`, times one of `factors`
    (mean 1); each answer takes `overhead_s` more until the client has it. `batch`: the most requests in one."""

    fixed_s: float
    each_s: float
    factors: tuple[float, ...] = (1.0,)
    overhead_s: float = 0.0
    batch: int = BATCH

    def __post_init__(self) -> None:
        if not (self.each_s > 0 and self.fixed_s >= 0 and self.batch >= 1 and self.overhead_s >= 0):
            raise BadInput("service times", "above 0", [self.fixed_s, self.each_s, self.overhead_s, self.batch])
        if not self.factors or not min(self.factors) > 0:
            raise BadInput("factors of service times", "one or more above 0", self.factors[:3])

    @property
    def alone_s(self) -> float:
        """The mean time that one request alone keeps a process busy."""
        return self.fixed_s + self.each_s

    @property
    def most_per_s(self) -> float:
        """Requests a second that a process answers with full batches."""
        return self.batch / (self.fixed_s + self.batch * self.each_s)


class NoneInTime(Refused):
    """No number of processes answers enough requests in time. `share`: what one that never waits answers in time."""

    def __init__(self, deadline_s: float, share: float, target: float) -> None:
        self.deadline_s, self.share, self.target = deadline_s, share, target
        super().__init__(
            f"answers must take at most {deadline_s * 1e3:,.0f} ms for a share of {target:.3%}, got "
            f"{share:.3%} as measured without load: name a longer --deadline, a smaller --in-time, or a quicker version"
        )


def response_times(service: BulkService, rate_per_s: float) -> Floats64:
    """The times that requests take at one process with Poisson arrivals, seconds, shape (n,).

    The random draws are the same at each call. Raises `BadInput` for a rate that is not positive.

    >>> times_s = response_times(BulkService(0.0, 0.001), rate_per_s=1.0)
    >>> round(float(np.median(times_s)), 6)
    0.001
    """
    if not rate_per_s > 0:
        raise BadInput("rate_per_s", "above 0", rate_per_s)
    gaps, draws = _draws()
    arrived = np.cumsum(gaps) / rate_per_s
    factors = np.asarray(service.factors)[(draws * len(service.factors)).astype(np.intp)]
    ends = _ends(arrived.tolist(), factors.tolist(), service)
    return (np.asarray(ends) - arrived)[_WARM_UP:] + service.overhead_s


def _ends(arrived: list[float], factors: list[float], service: BulkService) -> list[float]:
    """When each request is answered, by a process that takes all that wait."""
    fixed_s, each_s, batch, total = service.fixed_s, service.each_s, service.batch, len(arrived)
    ends: list[float] = []
    free_s, first = 0.0, 0
    while first < total:
        start_s = max(free_s, arrived[first])
        last = first + 1
        while last < total and last - first < batch and arrived[last] <= start_s:
            last += 1
        free_s = start_s + (fixed_s + (last - first) * each_s) * factors[first]
        ends += [free_s] * (last - first)
        first = last
    return ends


@lru_cache(maxsize=1)
def _draws() -> tuple[Floats64, Floats64]:
    """Exponential gaps of mean 1, and numbers of [0, 1) that choose a factor."""
    rng = np.random.default_rng(1)
    return rng.exponential(size=_ARRIVALS), rng.random(_ARRIVALS)


def share_in_time(service: BulkService, rate_per_s: float, deadline_s: float) -> float:
    """The share of requests answered within `deadline_s` by one process; 0 where it cannot keep up."""
    if rate_per_s >= service.most_per_s:
        return 0.0
    return float((response_times(service, rate_per_s) <= deadline_s).mean())


@lru_cache(maxsize=16)
def rate_in_time(service: BulkService, deadline_s: float, share: float) -> float:
    """The most requests a second of which one process answers a `share` within `deadline_s`, no busier than `BUSIEST`.

    Rates are tried in steps of a sixtieth. Raises `NoneInTime` where even a request a minute is too much.
    """
    at_best = share_in_time(service, 1 / 60, deadline_s)
    if at_best < share:
        raise NoneInTime(deadline_s, at_best, share)
    most = BUSIEST * service.most_per_s
    low, high = 0, _RATES
    while low < high:
        middle = (low + high + 1) // 2
        if share_in_time(service, most * middle / _RATES, deadline_s) >= share:
            low = middle
        else:
            high = middle - 1
    return max(most * low / _RATES, 1 / 60)


def servers_needed(service: BulkService, rate_per_s: float, deadline_s: float, share: float) -> int:
    """The fewest processes that answer a `share` of requests within `deadline_s`; raises `NoneInTime`."""
    return max(1, math.ceil(rate_per_s / rate_in_time(service, deadline_s, share)))


def erlang_c(servers: int, offered: float) -> float:
    """The share of requests that wait in one queue for all `servers` (M/M/c); `offered`: rate times mean service time.

    Source: Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
    exchanges", 1917. Raises `BadInput` where the servers cannot keep up.

    >>> round(erlang_c(1, 0.5), 6)
    0.5
    """
    if not 0 <= offered < servers:
        raise BadInput("offered", f"from 0 to below the number of servers, {servers}", offered)
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))
