"""Whether what learning releases is truly better: simulated movie worlds, over seeds.

    python benchmarks/learning_truth.py --seeds 1 2 3 --users 1000 --items 3000 --days 9 [--plain]

Each world knows the true quality of every version (the mean probability that a user likes an item of their list). Past
days lie before the service; with `--past 1` it starts all but empty. `--plain`: without inverse propensity weights.
One line a run of learning: what was chosen, whether it was released, the true quality of the champion before and after,
each as of the run that made it, and the best among those that passed.
"""

import argparse
import statistics
from collections.abc import Sequence

import msgspec

from flyball.app import App, load_app
from flyball.simulation import SimulationReport, simulate


def app_of(plain: bool) -> App:
    """The movie application with its five first models, so that a table compares with earlier ones."""
    app = load_app("movies")
    names = ("popular", "item_knn", "svd", "ials", "ease")
    app.candidates = {name: app.candidates[name] for name in names}
    if plain:
        app.choose = msgspec.structs.replace(app.choose, ips=False)
    return app


def rows_of(seed: int, report: SimulationReport) -> list[list[str]]:
    """One row a run of learning."""
    rows, true_of, champion = [], dict[str, float](), ""
    for run in report.learned:
        true_of |= {each.version: each.true["quality"] for each in run.versions if each.true}
        best = max((each.true["quality"] for each in run.versions if each.true), default=float("nan"))
        model = {each.version: each.candidate for each in run.versions}
        before = true_of.get(champion, float("nan"))
        champion = run.champion
        rows.append(
            [
                str(seed),
                model.get(run.chosen, run.chosen or "none"),
                "yes" if run.released else "no",
                f"{before:.3f}",
                f"{true_of.get(champion, float('nan')):.3f}",
                f"{best:.3f}",
            ]
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=9)
    parser.add_argument("--past", type=int, default=7)
    parser.add_argument("--plain", action="store_true")
    chosen = parser.parse_args(arguments)
    print("seed  chosen      released  before  after   best")
    gains = []
    for seed in chosen.seeds:
        report = simulate(
            app_of(chosen.plain),
            days=chosen.days,
            users=chosen.users,
            items=chosen.items,
            seed=seed,
            past_days=chosen.past,
        )
        for row in rows_of(seed, report):
            print("{:>4}  {:<10}  {:<8}  {:>6}  {:>6}  {:>6}".format(*row), flush=True)
        answered = [day.true["quality"] for day in report.per_day]
        gains.append((answered[0], answered[-1]))
        print(f"      true quality of answers by day: {' '.join(f'{each:.3f}' for each in answered)}", flush=True)
    first, last = (statistics.mean(each[side] for each in gains) for side in (0, 1))
    print(f"true quality of answers, first day {first:.3f}, last day {last:.3f}")


if __name__ == "__main__":
    main()
