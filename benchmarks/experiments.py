"""How often each method of flyball.statistics errs, and what it finds, over thousands of simulated experiments.

Run: python benchmarks/experiments.py [--experiments 2000] [--looks 100] [--seed 1]
A/A experiments are looked at after every batch; a false positive is an interval without 0 at any look that the method
allows. Of 2,000 experiments 126 false positives are 5 % and 2.7 standard errors. Power and coverage are of the same
looks, beside Welch's test looked at as often, which is not valid, and once at the end.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np

from flyball.statistics import (
    BURN_IN,
    plan_bounded_difference,
    plan_interleaving,
    plan_looks,
    rate_difference_interval,
    rate_difference_log_e,
    sample_ratio_log_e,
    sequence_r2,
    sequence_reach,
    unit_preference,
)

ALPHA = 0.05
BATCH = 100
WINSOR = 60.0
"""Bound of the heavy-tailed values, fixed before the start: their .9998 quantile."""

Array = np.ndarray


def rates(rate: float) -> Callable[[np.random.Generator, tuple[int, ...]], Array]:
    return lambda rng, shape: (rng.random(shape) < rate).astype(float)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Log-normal values of sd 1.16 in the logarithm, as spend: the top 1 % have an eighth of the total, winsorized."""
    return np.minimum(rng.lognormal(0.0, 1.16, shape), WINSOR)


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "rate of 2 %": rates(0.02),
    "rate of 20 %": rates(0.2),
    "heavy-tailed mean": heavy,
}
EFFECTS = {
    "rate of 2 %": (0.003, 0.006, 0.009),
    "rate of 20 %": (0.01, 0.02, 0.03),
    "heavy-tailed mean": (0.1, 0.2, 0.3),
}


class Looks:
    """Cumulative sums of both arms at every look, shape (experiments, looks, 2 arms)."""

    def __init__(self, kind: str, effect: float, experiments: int, looks: int, rng: np.random.Generator) -> None:
        self.kind, self.effect, self.looks = kind, effect, looks
        sums, squares = np.empty((experiments, looks, 2)), np.empty((experiments, looks, 2))
        self.bets = np.empty((experiments, looks))
        self.plan = bounded_plan(kind, looks, effect)
        base = 0.02 if "2 %" in kind and "20" not in kind else 0.2
        for first in range(0, experiments, 50):
            rows = slice(first, min(first + 50, experiments))
            shape = (rows.stop - rows.start, looks, BATCH)
            for arm in (0, 1):
                if kind.startswith("rate"):
                    values = rates(base + effect * arm)(rng, shape)
                else:
                    values = np.minimum(heavy(rng, shape) + effect * arm, WINSOR)
                sums[rows, :, arm], squares[rows, :, arm] = values.sum(axis=2), (values**2).sum(axis=2)
                self._bet(rows, arm, values)
        self.sums, self.squares = sums.cumsum(axis=1), squares.cumsum(axis=1)
        self.counts = np.arange(1, looks + 1) * BATCH
        means = self.sums / self.counts[:, None]
        variances = (self.squares / self.counts[:, None] - means**2) * (self.counts / (self.counts - 1))[:, None]
        self.effects = means[..., 1] - means[..., 0]
        self.ses = np.sqrt(np.maximum(variances.sum(axis=2), 1e-300) / self.counts)

    def _bet(self, rows: slice, arm: int, values: Array) -> None:
        """Log wealth of each bettor against no effect, summed over bettors only at the end of each look."""
        if self.plan is None:
            self.wealth = None
            return
        if rows.start == 0 and arm == 0:
            self.wealth = np.zeros((self.bets.shape[0], len(self.plan.plan.stakes), self.looks))
        signed = self.plan.values(np.full(values.shape, arm == 1), values)
        for bettor, stake in enumerate(self.plan.plan.stakes):
            self.wealth[rows, bettor] += np.log1p(stake * signed).sum(axis=2)

    def betting_log_e(self) -> Array:
        """Against no effect, shape (experiments, looks)."""
        logs = self.wealth.cumsum(axis=2)
        largest = logs.max(axis=1, keepdims=True)
        mixed = np.einsum("ebl,b->el", np.exp(logs - largest), np.array(self.plan.plan.weights))
        return np.log(mixed) + largest[:, 0]


def bounded_plan(kind: str, looks: int, effect: float):  # type: ignore[no-untyped-def]
    """The constants of the betting sequence, as an owner would fix them from what is known before the start."""
    units = 2 * looks * BATCH
    if kind == "rate of 20 %":
        return plan_bounded_difference(0.0, 1.0, units, 0.4, 0.2, candidates=3)
    if kind == "heavy-tailed mean":
        return plan_bounded_difference(0.0, WINSOR, units, 3.1, 2.0, candidates=3)
    return plan_bounded_difference(0.0, 1.0, units, 0.14, 0.02, candidates=3)


def methods(looks: Looks) -> Iterator[tuple[str, Array]]:
    """(name, whether each look of each experiment finds an effect), of every method that fits the kind."""
    z = np.abs(looks.effects) / looks.ses
    units = 2 * looks.looks * BATCH
    if looks.kind.startswith("rate"):
        parts = [
            rate_difference_log_e(part[..., 0], looks.counts, part[..., 1], looks.counts, 0.0, units, ALPHA)
            for part in np.array_split(looks.sums, max(1, len(looks.sums) // 100))
        ]
        yield "sequence of two rates", np.concatenate(parts) >= -np.log(ALPHA)
    yield "betting sequence", looks.betting_log_e() >= -np.log(ALPHA)
    reach = sequence_reach(looks.ses, 2 * looks.counts, ALPHA, sequence_r2(ALPHA, units))
    yield f"asymptotic sequence, from {BURN_IN}", (np.abs(looks.effects) > reach) & (looks.counts >= BURN_IN)
    for spending in ("obrien_fleming", "pocock"):
        plan = plan_looks(units, 20, ALPHA, spending)
        found = np.zeros(z.shape, dtype=bool)
        at = np.round(np.array(plan.fractions) * looks.looks).astype(int) - 1
        found[:, at] = z[:, at] > np.array(plan.bounds)
        yield f"group-sequential, {spending}, 20 looks", found
    last = np.zeros(z.shape, dtype=bool)
    last[:, -1] = z[:, -1] > 1.959964
    yield "Welch, one look at the end", last
    yield "(Welch at every look: not valid)", z > 1.959964


def show(title: str, rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}")
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  " + "  ".join([row[0].ljust(widths[0]), *cells]))


def false_positives(experiments: int, looks: int, seed: int) -> None:
    rows = [("method", "kind", "false positives", "share", "at most 5 %")]
    for number, kind in enumerate(KINDS):
        data = Looks(kind, 0.0, experiments, looks, np.random.default_rng([seed, number]))
        for name, found in methods(data):
            errs = int(found.any(axis=1).sum())
            limit = experiments * ALPHA + 2.67 * np.sqrt(experiments * ALPHA * (1 - ALPHA))
            share, verdict = f"{100 * errs / experiments:.1f} %", "yes" if errs <= limit else "no"
            rows.append((name, kind, f"{errs} of {experiments}", share, verdict))
    show(f"A/A: {experiments} experiments, {looks} looks, {BATCH} units an arm a look", rows)


def power(experiments: int, looks: int, seed: int) -> None:
    rows = [("method", "kind", *(f"effect {n}" for n in (1, 2, 3)), "mean units, effect 3")]
    for number, kind in enumerate(KINDS):
        found_by: dict[str, list[str]] = {}
        for step, effect in enumerate(EFFECTS[kind]):
            data = Looks(kind, effect, experiments, looks, np.random.default_rng([seed, 10 + number, step]))
            for name, found in methods(data):
                wins = found & (data.effects > 0)
                cell = f"{100 * wins.any(axis=1).mean():.0f} %"
                stop = np.where(wins.any(axis=1), wins.argmax(axis=1) + 1, looks) * 2 * BATCH
                found_by.setdefault(name, []).append(cell)
                if step == len(EFFECTS[kind]) - 1:
                    found_by[name].append(f"{stop.mean():.0f}")
        rows += [(name, kind, *cells) for name, cells in found_by.items()]
    show(f"Power: {experiments} experiments each", rows)


def coverage(experiments: int, looks: int, seed: int) -> None:
    rows = [("method", "kind", "true effect inside at every look")]
    for number, kind in enumerate(KINDS):
        effect = EFFECTS[kind][1] if kind.startswith("rate") else 0.0
        data = Looks(kind, effect, experiments, looks, np.random.default_rng([seed, 20 + number]))
        reach = sequence_reach(data.ses, 2 * data.counts, ALPHA, sequence_r2(ALPHA, 2 * looks * BATCH))
        inside = (np.abs(data.effects - effect) <= reach) | (data.counts < BURN_IN)
        rows.append(("asymptotic sequence", kind, f"{100 * inside.all(axis=1).mean():.1f} %"))
        if kind.startswith("rate"):
            log_e = rate_difference_log_e(
                data.sums[..., 0], data.counts, data.sums[..., 1], data.counts, effect, 2 * looks * BATCH, ALPHA
            )
            rows.append(("sequence of two rates", kind, f"{100 * (log_e < -np.log(ALPHA)).all(axis=1).mean():.1f} %"))
    show(f"Coverage: {experiments} experiments", rows)


def sample_ratios(experiments: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 30])
    counts = np.arange(1, 31) * 2_000
    rows = [("check", "false alarms in 30 daily looks", "found: b loses 5 % of its units", "mean days")]
    table = {}
    for lost in (0.0, 0.05):
        share = 0.5 * (1 - lost) / (1 - 0.5 * lost)
        b = rng.binomial(2_000, share, size=(experiments, 30)).cumsum(axis=1)
        both = np.stack([counts - b, b], axis=2)
        z = np.abs(2 * b - counts) / np.sqrt(counts)
        table[lost] = {
            "sequential, .001": sample_ratio_log_e(both, [1, 1]) >= np.log(1_000),
            "(chi-square daily, .001: not valid)": z > 3.2905,
        }
    for name in table[0.0]:
        alarms, hits = table[0.0][name].any(axis=1), table[0.05][name]
        days = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 30).mean()
        rows.append((name, f"{100 * alarms.mean():.3f} %", f"{100 * hits.any(axis=1).mean():.1f} %", f"{days:.1f}"))
    show(f"Sample ratio: {experiments} experiments of 30 days, 2,000 units a day", rows)


def interleaving(experiments: int, seed: int) -> None:
    """The same better ranker found by an A/B test of clicks a user and by interleaving, both with sequences."""
    rng = np.random.default_rng([seed, 40])
    users, better = 20_000, 1.08
    found = {"A/B of clicks a user": [], "interleaving": []}  # type: dict[str, list[int]]
    plan = plan_interleaving(n_best=2_000)
    stakes, weights = np.array(plan.stakes), np.array(plan.weights)
    for _ in range(experiments):
        taste = rng.gamma(1.0, 3.0, size=users)  # clicks a user differ far more than rankers do
        arm = rng.random(users) < 0.5
        clicks = rng.poisson(taste * np.where(arm, better, 1.0))
        a, b = np.where(arm, 0, clicks), np.where(arm, clicks, 0)
        ends = np.arange(500, users + 1, 500)
        n_a, n_b = np.cumsum(~arm)[ends - 1], np.cumsum(arm)[ends - 1]
        mean_a, mean_b = np.cumsum(a)[ends - 1] / n_a, np.cumsum(b)[ends - 1] / n_b
        var_a, var_b = np.cumsum(a**2)[ends - 1] / n_a - mean_a**2, np.cumsum(b**2)[ends - 1] / n_b - mean_b**2
        se = np.sqrt(var_a / n_a + var_b / n_b)
        hit = (mean_b - mean_a > sequence_reach(se, ends, ALPHA, sequence_r2(ALPHA, 20_000))) & (ends >= 2 * BURN_IN)
        found["A/B of clicks a user"].append(int(ends[hit.argmax()]) if hit.any() else users)
        taste = rng.gamma(1.0, 3.0, size=users)
        preference = unit_preference(rng.poisson(taste / 2), rng.poisson(taste / 2 * better))
        logs = np.log1p(stakes[:, None] * preference).cumsum(axis=1)[:, ends - 1]
        log_e = np.log(weights @ np.exp(np.minimum(logs, 600)))
        hit = (log_e >= -np.log(ALPHA)) & (preference.cumsum()[ends - 1] > 0)
        found["interleaving"].append(int(ends[hit.argmax()]) if hit.any() else users)
    rows = [("method", "median users until found", f"found within {users}")]
    for name, units in found.items():
        rows.append((name, f"{np.median(units):.0f}", f"{100 * np.mean(np.array(units) < users):.0f} %"))
    show(f"Interleaving: a ranker whose items draw 8 % more clicks, {experiments} experiments", rows)


def width_of_rates() -> None:
    """How much wider the sequence is than the fixed interval."""
    rows = [("rate", "units an arm", "fixed interval", "sequence of two rates", "ratio")]
    for rate, units in ((0.02, 10_000), (0.2, 10_000)):
        events = round(rate * units)
        low, high = rate_difference_interval(events, units, events, units, n_best=2 * units)
        fixed = 2 * 1.959964 * np.sqrt(2 * rate * (1 - rate) / units)
        rows.append((f"{rate:g}", f"{units}", f"{fixed:.5f}", f"{high - low:.5f}", f"{(high - low) / fixed:.2f}"))
    show("Width", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=2_000)
    parser.add_argument("--looks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    started = time.perf_counter()
    false_positives(given.experiments, given.looks, given.seed)
    power(max(given.experiments // 5, 20), given.looks, given.seed)
    coverage(max(given.experiments // 2, 20), given.looks, given.seed)
    sample_ratios(given.experiments * 10, given.seed)
    interleaving(max(given.experiments // 20, 10), given.seed)
    width_of_rates()
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
