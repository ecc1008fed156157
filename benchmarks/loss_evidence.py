"""How soon a worse model is found among many monitors, and how often one is found that is not worse.

Each day has a loss with a part that all its keys share: normal, with the tail of a t distribution with 3 degrees, or
like the day before (a correlation of 0.6). The monitor of the loss stands beside columns that nothing happens to. It is
asked about quiet days, and after the loss rose by so many deviations of a day, with the evidence of the watcher and
with what it was before: the mean of the power calibrators and of 1 / p, and equal shares of the budget.

    python benchmarks/loss_evidence.py [--seeds 40] [--columns 56] [--json]
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from flyball.monitoring import MonitorState, Observation, decide_findings
from flyball.monitoring.findings.budget import suspects_of
from flyball.monitoring.performance.loss_windows import rise_p
from flyball.monitoring.watch.suspected import first_suspicion, undoubted
from flyball.statistics import e_of_p

DAY_US = 86_400_000_000
PAST_DAYS, DAYS, KEYS, RUN_LENGTH, KEY_DEVIATION = 28, 60, 30, 30, 3.0
KINDS = {"normal days": (0.0, False), "days of a t with 3 degrees": (0.0, True), "days like the last": (0.6, False)}
RISES = (1.0, 1.5, 2.0, 3.0)
MONITOR, SUBJECT = "performance", "loss"


def former_e_of_p(p_values: np.ndarray) -> np.ndarray:
    """The calibrator of before."""
    p = np.clip(p_values, 1e-300, 0.999)
    power = (1 - p + p * np.log(p)) / p / np.log(p) ** 2
    return (power + 1 / (np.maximum(p, 1e-8) * (1 - np.log(1e-8)))) / 2


def days_of(kind: str, rise: float, rng: np.random.Generator) -> list[np.ndarray]:
    """The losses of the keys of each day; the last 60 days are higher by `rise`."""
    correlation, has_tail = KINDS[kind]
    count = PAST_DAYS + DAYS
    news = rng.standard_t(3, count) / np.sqrt(3) if has_tail else rng.normal(size=count)
    shared = news.copy()
    for day in range(1, count):
        shared[day] = correlation * shared[day - 1] + np.sqrt(1 - correlation**2) * news[day]
    shared[PAST_DAYS:] += rise * np.sqrt(1 + KEY_DEVIATION**2 / KEYS)
    return [level + KEY_DEVIATION * rng.normal(size=KEYS) for level in shared]


def findings(
    days: list[np.ndarray], columns: int, to_e: Callable[[Any], Any], has_part: bool, rng: np.random.Generator
) -> tuple[list[int], int]:
    """(the days on which the loss has a new finding, the number of findings of columns)."""
    states: dict[str, MonitorState] = {}
    of_loss, of_columns = [], 0
    for day in range(PAST_DAYS, len(days)):
        since = first_suspicion(suspects_of(states, day * DAY_US), [MONITOR], [SUBJECT])
        usual = undoubted([back * DAY_US for back in range(day - PAST_DAYS, day)], DAY_US, since)
        p = rise_p([days[start // DAY_US] for start in usual], days[day])
        e_values = to_e(np.array([1.0 if p is None else p, *rng.random(columns)])).tolist()
        seen = [Observation(MONITOR, SUBJECT, e_values[0], True, "", daily=True, of_quality=has_part)]
        seen += [Observation("shift", str(name), e, True, "", daily=True) for name, e in enumerate(e_values[1:])]
        decision = decide_findings(
            states, seen, since_us=day * DAY_US, at_us=(day + 1) * DAY_US, run_length=RUN_LENGTH, unit_us=DAY_US
        )
        names = {finding.fingerprint: finding.monitor for finding in decision.findings}
        new = [names[key] for key in decision.new]
        of_loss += [day - PAST_DAYS + 1] * new.count(MONITOR)
        of_columns += len(new) - new.count(MONITOR)
        states = {key: state for key, state in decision.states.items() if not state.firing}  # it starts again
    return of_loss, of_columns


def measured(kind: str, rise: float, seeds: int, columns: int) -> dict[str, Any]:
    """The findings of quiet days, and the mean day of the first finding, 61 for none, by before and now."""
    row: dict[str, Any] = {"days": kind, "rise": rise, "words": f"by {rise} deviations of a day"}
    for name, to_e, has_part in (("before", former_e_of_p, False), ("now", e_of_p, True)):
        of_loss, of_columns, first = 0, 0, []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, int(10 * rise)])
            days = days_of(kind, rise, rng)
            if rise:
                days = days[: PAST_DAYS + DAYS // 2]
            found, others = findings(days, columns, to_e, has_part, rng)
            of_loss, of_columns = of_loss + len(found), of_columns + others
            first.append(found[0] if found else DAYS // 2 + 1)
        row[name] = {"loss": of_loss / seeds, "columns": of_columns / seeds, "day": float(np.mean(first))}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--columns", type=int, default=56)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    quiet = [measured(kind, 0.0, chosen.seeds, chosen.columns) for kind in KINDS]
    risen = [measured("normal days", rise, chosen.seeds, chosen.columns) for rise in RISES]
    if chosen.json:
        print(json.dumps([*quiet, *risen]))
        return
    print(f"findings in 60 quiet days, 2 allowed: of the loss, of {chosen.columns} columns")
    for row in quiet:
        shown = "   ".join(f"{name} {row[name]['loss']:.2f}, {row[name]['columns']:.2f}" for name in ("before", "now"))
        print(f"  {row['days']:<28}{shown}")
    print(f"mean day of the finding after the loss rose, {DAYS // 2 + 1} for none in {DAYS // 2}")
    for row in risen:
        shown = "   ".join(f"{name} {row[name]['day']:.1f}" for name in ("before", "now"))
        print(f"  {row['words']:<28}{shown}")


if __name__ == "__main__":
    main()
