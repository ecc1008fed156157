"""A table whose columns wander from window to window, watched as `Watcher` does, with a planted shift or none."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from flyball.monitoring import MonitorState, TableProfile, decide_findings
from flyball.monitoring.findings.budget import suspects_of
from flyball.monitoring.watch.season import SeasonalWindow
from flyball.monitoring.watch.table_look import TableLook, observe_table

DAY_US = 86_400_000_000
_A_DAY, _LENGTH_US, _PAST_DAYS = 4, DAY_US // 4, 28


@dataclass(frozen=True)
class WanderingTable:
    """`rows` of `columns` in each window of six hours; the level of a window is off by `wander`, in logarithms.

    From day `begin` on the first column is `factor` times as large.
    """

    seed: int
    days: int
    columns: int = 1
    rows: int = 100
    wander: float = 0.2
    factor: float = 1.0
    begin: int = 0

    def windows(self) -> list[TableProfile]:
        """The profiles of all windows, oldest first."""
        rng = np.random.default_rng(self.seed)
        keys = pl.Series([str(key) for key in range(self.rows)])
        profiles = []
        for number in range(self.days * _A_DAY):
            levels = rng.normal(0, self.wander, self.columns)
            columns = {f"c{n}": rng.lognormal(level, 0.8, self.rows) for n, level in enumerate(levels)}
            columns["c0"] *= self.factor if number >= self.begin * _A_DAY else 1.0
            profiles.append(TableProfile.of(pl.DataFrame(columns), keys))
        return profiles


def found_days(table: WanderingTable, leaves_out: bool = True) -> list[float]:
    """The days, from 0, of the findings. `leaves_out`: whether windows since a suspected start leave the reference."""
    profiles, states, days = table.windows(), dict[str, MonitorState](), list[float]()
    for number, now in enumerate(profiles):
        numbers = range(max(number % _A_DAY, number - _PAST_DAYS * _A_DAY), number, _A_DAY)
        earlier = [(SeasonalWindow(n * _LENGTH_US, n // _A_DAY % 7), profiles[n]) for n in numbers]
        suspects = suspects_of(states, number * _LENGTH_US) if leaves_out else {}
        look = TableLook(number // _A_DAY % 7, _LENGTH_US, {}, suspects, 0.05, frozenset())
        decision = decide_findings(
            states,
            observe_table("t", now, earlier, look),
            since_us=number * _LENGTH_US,
            at_us=(number + 1) * _LENGTH_US,
            run_length=30,
            unit_us=DAY_US,
        )
        states = decision.states
        days += [number / _A_DAY] * len(decision.new)
    return days
