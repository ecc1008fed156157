"""The lists of planted errors, the tests that must find them, and the report of which test did."""

import hashlib
from pathlib import Path

import msgspec
from tests.mutations.planted import PLANTED, Planted
from tests.mutations.planted_calibration import PLANTED_CALIBRATION
from tests.mutations.planted_comparison import PLANTED_COMPARISON
from tests.mutations.planted_decisions import PLANTED_DECISIONS
from tests.mutations.planted_experiments import PLANTED_EXPERIMENTS
from tests.mutations.planted_online import PLANTED_ONLINE
from tests.mutations.planted_outcomes import PLANTED_OUTCOMES
from tests.mutations.planted_releases import PLANTED_RELEASES
from tests.mutations.planted_statistics import PLANTED_STATISTICS

REPORT = Path(__file__).with_name("report.md")
SURVIVED, ENDLESS = "survived", "no end"


class Listed(msgspec.Struct, frozen=True):
    """Errors in one room, and the files of tests that run on each, until one fails. `title`: of its part of the report.

    `room`: the folder of the package that the errors' files lie in, "" for the package itself.
    """

    title: str
    planted: tuple[Planted, ...]
    tests: tuple[str, ...]
    room: str = ""


LISTS = {
    "offline": Listed(
        "The offline engine",
        PLANTED,
        (
            "features/test_sort_kernels.py",
            "features/test_chunks.py",
            "features/test_threads.py",
            "features/test_value_edges.py",
            "features/test_aggregate.py",
            "features/test_declarations.py",
            "features/test_offline_oracle.py",
            "features/test_feature_laws.py",
        ),
        "features",
    ),
    "online": Listed(
        "The online engine",
        PLANTED_ONLINE,
        (
            "features/test_int128.py",
            "features/test_value_edges.py",
            "features/test_online_keeping.py",
            "features/test_online_cases.py",
            "features/test_online_equals_oracle.py",
        ),
        "features",
    ),
    "calibration": Listed(
        "Decisions by costs, their metrics, and intervals",
        PLANTED_CALIBRATION,
        (
            "policy/test_decide.py",
            "policy/test_thresholds.py",
            "policy/test_quote.py",
            "tasks/metrics/test_general_metrics.py",
            "models/tabular/calibration/test_conformal.py",
            "models/tabular/calibration/test_adaptive.py",
            "models/tabular/calibration/test_conformalized.py",
        ),
    ),
    "decisions": Listed(
        "Gates, choice and policy",
        PLANTED_DECISIONS,
        (
            "evaluation/test_gates.py",
            "evaluation/test_resampling.py",
            "policy/test_policy.py",
            "evaluation/test_evaluate.py",
        ),
    ),
    "releases": Listed(
        "Releases",
        PLANTED_RELEASES,
        (
            "releases/test_release.py",
            "releases/test_opening.py",
            "releases/test_router.py",
            "releases/test_canary.py",
            "releases/test_error_budget.py",
            "releases/test_releases.py",
            "releases/test_arrangements.py",
        ),
        "releases",
    ),
    "outcomes": Listed(
        "Outcomes",
        PLANTED_OUTCOMES,
        (
            "outcomes/test_attribution.py",
            "outcomes/test_counts.py",
            "outcomes/test_metrics.py",
            "outcomes/test_reading.py",
            "outcomes/test_exposure.py",
            "outcomes/test_streams.py",
            "outcomes/test_consumer.py",
            "outcomes/test_one_meaning.py",
        ),
        "outcomes",
    ),
    "statistics": Listed(
        "The statistics of experiments",
        PLANTED_STATISTICS,
        tuple(
            f"statistics/test_{name}.py"
            for name in (
                "fixed",
                "sequences",
                "sample_ratios",
                "multiplicity",
                "drafts",
                "interleaving",
                "off_policy",
                "spending",
                "bandits",
                "switchback",
            )
        ),
        "statistics",
    ),
    "experiments": Listed(
        "Experiments on the log",
        PLANTED_EXPERIMENTS,
        (
            "experiments/test_periods.py",
            "experiments/test_interleaved.py",
            "experiments/test_interleaving.py",
        ),
        "experiments",
    ),
    "comparison": Listed(
        "The comparison of arms",
        PLANTED_COMPARISON,
        ("experiments/test_analysis.py", "experiments/test_exposures.py", "experiments/test_unit_values.py"),
        "experiments",
    ),
}

Found = dict[tuple[str, str], str]
"""By (list, digest of the error): the test that failed first, `SURVIVED` or `ENDLESS`."""


def digest(planted: Planted) -> str:
    """Changes with the file and the texts, so that a row about another error is not taken for one about this."""
    texts = "\0".join((planted.file, planted.right, planted.wrong))
    return hashlib.sha256(texts.encode()).hexdigest()[:8]


def read() -> Found:
    """What the report says, of errors on the lists or not."""
    found, name = {}, ""
    for line in REPORT.read_text().splitlines() if REPORT.exists() else []:
        if line.startswith("## "):
            name = next((one for one, listed in LISTS.items() if line == f"## {listed.title}"), "")
        elif line.startswith("| `"):
            cells = [cell.strip(" `*") for cell in line.strip("|").split("|")]
            found[name, cells[2]] = cells[3]
    return found


def write(found: Found) -> None:
    """The report over the lists; what was not tried is not in it."""
    lines = ["# Planted errors and the test that finds each first", ""]
    lines += ["Written by `python -m tests.mutations.run`, which plants each error alone in a copy of the"]
    lines += ["package and runs the tests of its list on that copy, with the JIT disabled, until one fails. The digest"]
    lines += ["is of the file and of the texts before and after."]
    for name, listed in LISTS.items():
        rows = [(one, found[name, digest(one)]) for one in listed.planted if (name, digest(one)) in found]
        killed = sum(by != SURVIVED for _, by in rows)
        lines += ["", f"## {listed.title}", "", f"{len(listed.planted)} listed, {len(rows)} tried, {killed} found"]
        lines += [f"by {', '.join(f'`{test}`' for test in listed.tests)}.", ""]
        lines += ["| file | error | digest | found by |", "|---|---|---|---|"]
        lines += [
            f"| `{one.file}` | {one.what} | `{digest(one)}` | {f'**{by}**' if by == SURVIVED else f'`{by}`'} |"
            for one, by in rows
        ]
    REPORT.write_text("\n".join(lines) + "\n")
