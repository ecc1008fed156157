"""Watching a hundred columns for sixty quiet days, and how soon planted faults are found.

Run: python benchmarks/watching.py [--days 60] [--columns 100] [--seeds 1 2]

A table has windows of 6 hours and about 300 rows of some 150 users of 5,000. Columns are numbers and texts; most have a
weekly season, all differ a little from window to window, and rows of a user are alike. Windows are held against 28 days
before, as `flyball up` does, with a budget of one false finding a month. Beside it: how many alarms the same
comparisons give at 5 % each, and how often any two-sample test of scipy at 5 % would call a window shifted. Each fault
is planted in the second half; the delay is that of the first finding about a struck column.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from scipy import stats

from flyball.monitoring import MonitorState, Observation, TableProfile, decide_findings
from flyball.monitoring.findings.budget import suspects_of
from flyball.monitoring.watch.season import SeasonalWindow
from flyball.monitoring.watch.table_look import TableLook, observe_table

PAST_DAYS, A_DAY, ROWS, USERS = 28, 4, 300, 5_000
HOURS = 24 // A_DAY
DAYS_A_MONTH, DAY_US = 30, 86_400_000_000
LENGTH_US = DAY_US // A_DAY
Fault = Callable[[pl.DataFrame], pl.DataFrame]

FAULTS: dict[str, Fault] = {
    "one number a hundred times as large": lambda rows: rows.with_columns(number0=pl.col("number0") * 100),
    "one number 30 % larger": lambda rows: rows.with_columns(number0=pl.col("number0") * 1.3),
    "20 numbers 10 % larger": lambda rows: rows.with_columns(
        [pl.col(f"number{column}") * 1.1 for column in range(min(20, rows.width // 2))]
    ),
    "every fifth value of a column missing": lambda rows: rows.with_columns(
        text0=pl.when(pl.int_range(len(rows)) % 5 == 0).then(None).otherwise(pl.col("text0"))
    ),
    "every tenth text a new one": lambda rows: rows.with_columns(
        text0=pl.when(pl.int_range(len(rows)) % 10 == 0).then(pl.lit("new")).otherwise(pl.col("text0"))
    ),
}


class Table:
    """The windows of a table; the same seed gives the same rows."""

    def __init__(self, columns: int, seed: int) -> None:
        self.columns, self.seed = columns, seed
        rng = np.random.default_rng([seed, 1])
        self.weekend = rng.choice([0.0, 0.0, 0.3, 0.6], columns)
        self.texts = [rng.dirichlet(np.ones(6)) for _ in range(columns)]

    def window(self, number: int) -> tuple[pl.DataFrame, pl.Series]:
        """(the rows of a window, whose they are)."""
        rng = np.random.default_rng([self.seed, 2, number])
        rows = int(rng.poisson(ROWS))
        users = rng.choice(rng.integers(0, USERS, 150), rows)
        weekend = 1.0 if number // A_DAY % 7 >= 5 else 0.0
        data: dict[str, object] = {}
        for column in range(self.columns):
            level = self.weekend[column] * weekend + rng.normal(0, 0.03)
            own = np.random.default_rng([self.seed, 3, column]).normal(0, 0.4, USERS)[users]
            values = own + rng.normal(0, 0.9, rows) + level
            if column % 2 == 0:
                data[f"number{column // 2}"] = np.exp(values)
            else:
                shares = np.cumsum(self.texts[column])
                picked = np.searchsorted(shares, stats.norm.cdf(values / np.sqrt(0.97)) * 0.999999)
                data[f"text{column // 2}"] = pl.Series([f"t{value}" for value in picked.tolist()])
        return pl.DataFrame(data), pl.Series([str(user) for user in users.tolist()])


def profiles_of(table: Table, numbers: Sequence[int], fault: Fault | None = None) -> dict[int, TableProfile]:
    profiles = {}
    for number in numbers:
        rows, users = table.window(number)
        profiles[number] = TableProfile.of(rows if fault is None else fault(rows), users)
    return profiles


def watched(profiles: dict[int, TableProfile], numbers: Sequence[int]) -> tuple[list[tuple[int, str]], int, int, float]:
    """(window and subject of each new finding, observations, those with p of 5 % or less, seconds)."""
    states: dict[str, MonitorState] = {}
    news: list[tuple[int, str]] = []
    looked, small, began_s = 0, 0, time.perf_counter()
    for number in numbers:
        numbers_before = [number - day * A_DAY for day in range(PAST_DAYS, 0, -1)]
        earlier = [
            (SeasonalWindow(before * LENGTH_US, before // A_DAY % 7), profiles[before]) for before in numbers_before
        ]
        suspects = suspects_of(states, number * LENGTH_US)
        look = TableLook(number // A_DAY % 7, LENGTH_US, {}, suspects, 0.05, frozenset())
        seen = observe_table("rows", profiles[number], earlier, look)
        looked += len(seen)
        small += sum(observation.evidence["p"] <= 0.05 for observation in seen)
        states, new = decided(states, seen, number)
        news += [(number, subject) for subject in new]
    return news, looked, small, time.perf_counter() - began_s


def decided(
    states: dict[str, MonitorState], seen: Sequence[Observation], number: int
) -> tuple[dict[str, MonitorState], list[str]]:
    decision = decide_findings(
        states,
        seen,
        since_us=number * DAY_US // A_DAY,
        at_us=(number + 1) * DAY_US // A_DAY,
        run_length=DAYS_A_MONTH,
        unit_us=DAY_US,
    )
    return decision.states, [finding.subject for finding in decision.findings if finding.fingerprint in decision.new]


def alarming_windows(table: Table, numbers: Sequence[int], windows: int = 20) -> float:
    """The share of windows in which any Kolmogorov-Smirnov test of a number at 5 % alarms, against the day before."""
    alarms = 0
    for number in numbers[:: max(1, len(numbers) // windows)][:windows]:
        before, now = table.window(number - A_DAY)[0], table.window(number)[0]
        names = [name for name in now.columns if name.startswith("number")]
        alarms += any(stats.ks_2samp(before[name].to_numpy(), now[name].to_numpy()).pvalue <= 0.05 for name in names)
    return alarms / windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    chosen = parser.parse_args()
    for seed in chosen.seeds:
        table = Table(chosen.columns, seed)
        first, end = PAST_DAYS * A_DAY, (PAST_DAYS + chosen.days) * A_DAY
        profiles = profiles_of(table, range(end))
        news, looked, small, seconds = watched(profiles, range(first, end))
        print(f"seed {seed}: {chosen.days} quiet days, {chosen.columns} columns, {end - first} looks")
        print(f"  findings                                {len(news):>8}")
        print(f"  comparisons                             {looked:>8,}")
        print(f"  of them with a p-value of 5 % or less   {small:>8,}")
        print(f"  windows with any KS test at 5 %         {alarming_windows(table, range(first, end)):>8.0%}")
        print(f"  milliseconds a look                     {1e3 * seconds / (end - first):>8.0f}")
        begun = (PAST_DAYS + chosen.days // 2) * A_DAY
        for words, fault in FAULTS.items():
            struck = {**profiles, **profiles_of(table, range(begun, begun + 4 * A_DAY), fault)}
            news, *_ = watched(struck, range(begun - A_DAY, begun + 4 * A_DAY))
            hits = [number for number, subject in news if number >= begun]
            delay = f"{(min(hits) - begun + 1) * HOURS} h, {len(hits)} findings" if hits else "not found in 4 days"
            print(f"  {words:<38}  {delay}")


if __name__ == "__main__":
    main()
