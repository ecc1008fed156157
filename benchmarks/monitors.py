"""Monitors of data and performance: false alarms, planted changes found, time and memory, beside Evidently and NannyML.

Run: python benchmarks/monitors.py [--windows 20] [--rows 1000000] [--columns 30]

The same windows go to all, with their default settings. Quiet windows come from the distribution of the reference;
shifted ones differ in the way that the line says. An alarm is a window in which any of 50 features drifted, without
further corrections: what would call somebody. Of Evidently the test that its reports choose is called by itself, since
a report takes seconds. NannyML sets its thresholds by chunks of the reference, so it divides windows of more than a
fifth of it. Detectors that always and never alarm stand beside them. CBPE: the distance of the estimated from the
measured performance of a window, and how often its interval contains that. Packages are asked by the Python that
MONITORING_PEERS_PYTHON names; without them, they are left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from flyball.monitoring import TableProfile, compare_profiles
from flyball.statistics import domain_classifier_test, expected_performance, learn_calibration, mean_discrepancy_test

FEATURES, REFERENCE, ALPHA = 50, 5_000, 0.05
SIZES = (100, 1_000, 10_000)
SHIFTS = ("quiet", "one mean by 0.5 sd", "all means by 0.1 sd", "a correlation of 0.8", "one spread by 1.5")
Z = 1.96
METRICS = ("accuracy", "precision", "recall", "f1", "auc")

EVIDENTLY = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
loaded = np.load(sys.argv[1])
number = ColumnType.Numerical
def drifted(before, now):
    before, now = pd.Series(before), pd.Series(now)
    test = get_stattest(before, now, number, None)  # the one that its reports choose
    return test(before, now, number, None).drifted
alarms, spent = {}, {}
for key in loaded.files:
    if key != "reference":
        started = time.perf_counter()
        alarms[key] = bool(sum(map(drifted, loaded["reference"].T, loaded[key].T)))
        spent[key] = time.perf_counter() - started
json.dump({"alarms": alarms, "seconds": spent}, sys.stdout)
"""

NANNYML = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, nannyml as nml
loaded = np.load(sys.argv[1])
reference = loaded["reference"]
names = [f"c{number}" for number in range(reference.shape[1])]
alarms, spent, fitted = {}, {}, {}
for key in loaded.files:
    if key == "reference":
        continue
    rows = loaded[key]
    size = min(len(rows), len(reference) // 5)  # thresholds come from the spread of chunks of the reference
    started = time.perf_counter()
    if size not in fitted:
        fitted[size] = nml.UnivariateDriftCalculator(column_names=names, chunk_size=size).fit(
            pd.DataFrame(reference, columns=names))
    found = fitted[size].calculate(pd.DataFrame(rows, columns=names)).to_df()
    analysis = found[found[("chunk", "chunk", "period")] == "analysis"]
    flags = analysis.loc[:, [column for column in analysis.columns if column[-1] == "alert"]].to_numpy(bool)
    alarms[key], spent[key] = bool(flags.any()), time.perf_counter() - started
json.dump({"alarms": alarms, "seconds": spent}, sys.stdout)
"""

CBPE = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, nannyml as nml
loaded = np.load(sys.argv[1])
def frame(key):
    return pd.DataFrame({"p": loaded[key], "yhat": (loaded[key] >= 0.5).astype(int)})
reference = frame("reference").assign(y=loaded["outcomes"].astype(int))
names = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1", "roc_auc": "auc"}
estimates, spent = {}, {}
started = time.perf_counter()
estimators = {}
for key in loaded.files:
    if key in ("reference", "outcomes"):
        continue
    size = len(loaded[key])
    if size not in estimators:
        estimators[size] = nml.CBPE(y_pred_proba="p", y_pred="yhat", y_true="y", metrics=list(names),
            problem_type="classification_binary", chunk_size=size).fit(reference)
    rows = estimators[size].estimate(frame(key)).to_df().iloc[-1]
    estimates[key] = {ours: [float(rows[(name, part)]) for part in ("value", "sampling_error")]
        for name, ours in names.items()}
json.dump({"estimates": estimates, "seconds": time.perf_counter() - started}, sys.stdout)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=30)
    chosen = parser.parse_args()
    alarms(chosen.windows)
    estimates(chosen.windows)
    wide_table(chosen.rows, chosen.columns)


def shifted(rng: np.random.Generator, rows: int, shift: str) -> np.ndarray:
    """A window of independent normal features, changed as `shift` says."""
    window = rng.normal(size=(rows, FEATURES))
    if shift == SHIFTS[1]:
        window[:, 0] += 0.5
    elif shift == SHIFTS[2]:
        window += 0.1
    elif shift == SHIFTS[3]:
        window[:, 0] = 0.8 * window[:, 1] + 0.6 * window[:, 0]
    elif shift == SHIFTS[4]:
        window[:, 0] *= 1.5
    return window


def alarms(windows: int) -> None:
    """The share of windows with an alarm, of each monitor, size and shift."""
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(REFERENCE, FEATURES))
    arrays = {"reference": reference}
    for size in SIZES:
        count = max(3, windows // 4) if size > 1_000 else windows
        for shift in SHIFTS:  # more quiet windows than others: their rate is the smaller one
            for number in range(count if shift == SHIFTS[0] else max(2, count // 4)):
                arrays[f"{size}/{shift}/{number}"] = shifted(rng, size, shift)
    monitors: dict[str, Callable[[np.ndarray], bool]] = {
        "Flyball, columns": columns_of(reference),
        "Flyball, MMD": lambda rows: (
            mean_discrepancy_test(reference, rows, rng, permutations=199, most_rows=400).p <= 0.05
        ),
        "Flyball, classifier": lambda rows: domain_classifier_test(reference, rows, rng, most_rows=2_000).p <= 0.05,
    }
    seen = {name: ask_ours(monitor, arrays) for name, monitor in monitors.items()}
    for name, script in (("Evidently", EVIDENTLY), ("NannyML", NANNYML)):
        answer = ask(script, arrays)
        if answer is not None:
            seen[name] = answer["alarms"], answer["seconds"]
    always = {key: True for key in arrays if key != "reference"}
    seen["always alarms"] = always, dict.fromkeys(always, 0.0)
    seen["never alarms"] = dict.fromkeys(always, False), dict.fromkeys(always, 0.0)
    print(f"windows with an alarm, {FEATURES} features, a reference of {REFERENCE:,} rows; milliseconds a window")
    for size in SIZES:
        print(f"\n{size:,} rows{'':13}" + "".join(f"{shift:>22}" for shift in SHIFTS) + f"{'ms':>10}{'ratio':>8}")
        first = 0.0
        for name, (flags, seconds) in seen.items():
            keys = {shift: [key for key in flags if key.startswith(f"{size}/{shift}/")] for shift in SHIFTS}
            shares = [np.mean([flags[key] for key in keys[shift]]) for shift in SHIFTS]
            spent = 1_000 * np.mean([seconds[key] for shift in SHIFTS for key in keys[shift]])
            first = first or spent  # the ratio is that to the first monitor
            print(f"{name:24}" + "".join(f"{share:22.0%}" for share in shares) + f"{spent:10,.1f}{spent / first:8.1f}")


def columns_of(reference: np.ndarray) -> Callable[[np.ndarray], bool]:
    """Whether any column shifted by the profiles, which `flyball profiles compare` reports; no difference too small."""
    profiles = [TableProfile.of(frame(part)) for part in np.array_split(reference, 5)]
    return lambda rows: compare_profiles(profiles, TableProfile.of(frame(rows)), least=0.0).differs


def frame(rows: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=[f"c{number}" for number in range(rows.shape[1])])


def ask_ours(
    monitor: Callable[[np.ndarray], bool], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, bool], dict[str, float]]:
    flags, seconds = {}, {}
    for key, rows in arrays.items():
        if key != "reference":
            started = time.perf_counter()
            flags[key] = bool(monitor(rows))
            seconds[key] = time.perf_counter() - started
    return flags, seconds


def ask(script: str, arrays: dict[str, np.ndarray]) -> dict | None:
    """What a package says of the arrays; None where it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, **{key.replace("/", "|"): rows for key, rows in arrays.items()})
        python = os.environ.get("MONITORING_PEERS_PYTHON", sys.executable)
        done = subprocess.run([python, "-c", script, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"left out: {done.stderr.strip().splitlines()[-1]}")
        return None
    text = done.stdout[done.stdout.index("{") :].replace("|", "/")
    answer: dict = json.loads(text)
    return answer


def estimates(windows: int) -> None:
    """CBPE: how far the estimate is from what labels show, and how often the interval of 95 % contains that."""
    rng = np.random.default_rng(2)

    def window(rows: int, a: float) -> tuple[np.ndarray, np.ndarray]:
        scores = np.clip(rng.beta(a, 3.0, rows), 1e-6, 1 - 1e-6)
        return scores, (rng.random(rows) < np.sqrt(scores)).astype(float)

    scores, outcomes = window(REFERENCE, 2.0)
    started = time.perf_counter()
    calibration = learn_calibration(scores, outcomes, rng)
    arrays, truth, ours = {"reference": scores, "outcomes": outcomes}, {}, {}
    for size in SIZES:
        for number in range(max(3, windows // 4) if size > 1_000 else windows):
            key = f"{size}/{number}"
            arrays[key], happened = window(size, 2.0 + number % 3)
            truth[key] = measured(arrays[key], happened)
    for key in truth:
        estimated = expected_performance(arrays[key], calibration).metrics
        ours[key] = {name: (metric.value, metric.low, metric.high) for name, metric in estimated.items()}
    seconds = time.perf_counter() - started
    answers = {"Flyball": (ours, seconds)}
    theirs = ask(CBPE, arrays)
    if theirs is not None:
        intervals = {
            key: {
                name: (value, value - 1.96 * error, value + 1.96 * error) for name, (value, error) in of_window.items()
            }
            for key, of_window in theirs["estimates"].items()
        }
        answers["NannyML"] = intervals, theirs["seconds"]
    print("\nestimated performance (CBPE): mean distance from the measured one, and how often the interval contains it")
    for size in SIZES:
        print(
            f"\n{size:,} rows{'':13}" + "".join(f"{name:>18}" for name in METRICS) + f"{'seconds, all':>14}{'ratio':>8}"
        )
        keys = [key for key in truth if key.startswith(f"{size}/")]
        for name, (values, spent) in answers.items():
            cells = []
            for metric in METRICS:
                known = [(values[key][metric], truth[key][metric]) for key in keys if metric in values[key]]
                distance = np.mean([abs(value - true) for (value, _, _), true in known])
                inside = np.mean([low <= true <= high for (_, low, high), true in known])
                cells.append(f"{distance:.4f} {inside:.0%}")
            print(f"{name:24}" + "".join(f"{cell:>18}" for cell in cells) + f"{spent:14.1f}{spent / seconds:8.1f}")


def measured(scores: np.ndarray, outcomes: np.ndarray) -> dict[str, float]:
    predicted, happened = scores >= 0.5, outcomes > 0
    hits = float((predicted & happened).sum())
    ranks = np.argsort(np.argsort(scores)) + 1
    positives, negatives = int(happened.sum()), int((~happened).sum())
    return {
        "accuracy": float((predicted == happened).mean()),
        "precision": hits / max(int(predicted.sum()), 1),
        "recall": hits / max(positives, 1),
        "f1": 2 * hits / max(int(predicted.sum()) + positives, 1),
        "auc": float((ranks[happened].sum() - positives * (positives + 1) / 2) / max(positives * negatives, 1)),
    }


def wide_table(rows: int, columns: int) -> None:
    """The profile of a wide table: seconds and memory, and what 3 million rows of 1,000 columns would take."""
    rng = np.random.default_rng(3)
    piece = 100_000
    profile, spent = TableProfile(), 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(rows // piece):
        table = frame(rng.normal(size=(piece, columns)))
        started = time.perf_counter()
        profile = profile.merge(TableProfile.of(table))
        spent += time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1_024
    cells = profile.rows * columns
    rate = cells / spent
    print(
        f"\nprofile of {profile.rows:,} rows x {columns:,} columns: {spent:.1f} s, {rate / 1e6:,.1f} M cells a second"
    )
    print(f"3,000,000 rows x 1,000 columns, by the same rate: {3e9 / rate / 60:,.1f} minutes on one core")
    print(f"memory grown by {grown:,.0f} MB, of which a piece of rows is {piece * columns * 8 / 2**20:,.0f} MB")
    answer = ask(WIDE, {"table": rng.normal(size=(piece, columns)), "other": rng.normal(size=(piece, columns))})
    if answer is not None:
        ours = piece * columns / rate
        for name, (seconds, memory) in answer.items():
            print(f"{name}, {piece:,} rows: {seconds:.1f} s, {memory:,.0f} MB; {seconds / ours:,.1f} times the profile")


WIDE = """
import json, resource, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
loaded = np.load(sys.argv[1])
names = [f"c{number}" for number in range(loaded["table"].shape[1])]
a, b = (pd.DataFrame(loaded[key], columns=names) for key in ("table", "other"))
spent = {}
def timed(name, run):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    run()
    spent[name] = time.perf_counter() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
import nannyml as nml
d = DataDefinition(numerical_columns=names)
timed("Evidently", lambda: Report([DataDriftPreset()]).run(
    Dataset.from_pandas(b, data_definition=d), Dataset.from_pandas(a, data_definition=d)))
timed("NannyML", lambda: nml.UnivariateDriftCalculator(column_names=names, chunk_size=len(a) // 5).fit(a).calculate(b))
json.dump(spent, sys.stdout)
"""


if __name__ == "__main__":
    main()
