"""The tables of the reference page on edits, made of the entries that are tested; run as a module to write them."""

from pathlib import Path

from tests.tasks.edits.keys import keys
from tests.tasks.edits.table import ALL, FIXED, RULES, Edit

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "edits.md"
BEGIN, END = "<!-- tables: python -m tests.tasks.edits.page -->\n", "<!-- end of the tables -->\n"

OWNERS = {
    "App": "fb.App",
    "Predict": "fb.Predict",
    "Target": "Targets: fb.occurs, fb.elapsed, fb.target_value",
    "Decide": "fb.decide",
    "EqualRate": "equal= of fb.decide",
    "Quote": "fb.quote",
    "ReweightCovariates": "fb.reweight_covariates",
    "ReweightLabels": "fb.reweight_labels",
    "Recommend": "fb.Recommend",
    "Outcome": "fb.outcome",
    "AnyOf": "fb.any_of",
    "Value": "fb.value",
    "Entity": "fb.Entity",
    "Features": "fb.Features",
    "FeatureSet": "fb.FeatureSet",
    "Aggregate": "Features: fb.count, fb.sum and their like",
    "Ratio": "fb.ratio",
    "Window": "Windows of features",
    "Derived": "fb.computed, fb.hashed",
    "Event": "Event types and profiles",
    "joined": "fb.joined",
    "Model": "The class of a model of your own",
    "Choice": "fb.best, fb.cheapest_within_noise",
    "ReleasePlan": "fb.canary, fb.immediate and their like",
    "Gates": "fb.gates",
    "MetricGate": "Gates of metrics",
    "Every": "fb.every",
    "AlertPlan": "fb.alerts",
    "AlertDelay": "Delays of fb.alerts",
    "Cron": "fb.cron",
    "Stateful": "fb.stateful",
    "OnVolume": "fb.on_volume",
    "OnPerformance": "fb.on_performance",
    "OnDrift": "fb.on_drift",
    "OnErasure": "fb.on_erasure",
    "Watch": "fb.watch",
    "SuspectPlan": "fb.suspects",
    "WorldSpec": "fb.world",
    "ExperimentMetric": "fb.metric",
    "EventTotal": "Sums of fb.metric",
}
WORDS = {
    "same": "no answer changes",
    "at once": "the next answers follow it",
    "arrangement": "a new arrangement",
    "next version": "waits for the next version",
    "refused": "refused",
}


def tables() -> str:
    """A table for each class, its keys in the order in which they are declared."""
    owners = dict.fromkeys(key.split(".")[0] for key in keys())
    return "".join(_table(owner) for owner in OWNERS if owner in owners)


def missing() -> set[str]:
    """The classes that have no name on the page."""
    return {key.split(".")[0] for key in keys()} - OWNERS.keys()


def _table(owner: str) -> str:
    rows = [_row(key) for key in keys() if key.split(".")[0] == owner and key not in FIXED]
    return f"\n### {OWNERS[owner]}\n\n| edited | what happens |\n|---|---|\n{''.join(rows)}"


def _row(key: str) -> str:
    name = key.split(".")[1].removesuffix("_us")
    if key == "App.task":
        return f"| `{name}` | what the tables of its own keys say |\n"
    edits = [edit for edit in (*ALL, *RULES) if edit.key == key]
    return f"| `{name}` | {'; '.join(dict.fromkeys(_words(edit) for edit in edits))} |\n"


def _words(edit: Edit) -> str:
    return f"{edit.case}: {WORDS[edit.outcome]}" if edit.case else WORDS[edit.outcome]


def written(page: str) -> str:
    """The page with these tables."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{tables()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
