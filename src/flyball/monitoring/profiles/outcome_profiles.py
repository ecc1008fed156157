"""The profiles of what became of answers."""

from flyball.monitoring.performance.logged import labels_of, logged
from flyball.monitoring.profiles.table import TableProfile
from flyball.runtime import Runtime

OUTCOMES = "outcomes"
"""Tables are named so, with a label: "outcomes.fraud"."""


def outcome_profiles(runtime: Runtime, since_us: int, until_us: int) -> dict[str, TableProfile]:
    """For each label the profile of outcomes that became final in `[since_us, until_us)`, one for each answer, `value`.

    Of a list the value is the position, from 1, of the first item with the label, 0 for none; of one of several
    classes its name.
    """
    import polars as pl

    profiles = {}
    for label in labels_of(runtime.app.task.about):
        final = logged(runtime, label, since_us - label.within_us, until_us - label.within_us, until_us)
        final = final.only(final.labeled)
        values = pl.Series("value", final.actual)
        if final.classes:
            values = pl.Series("value", [final.classes[int(value)] for value in final.actual], pl.String)
        keys = pl.Series(final.unit).cast(pl.String)
        profiles[f"{OUTCOMES}.{label.name}"] = TableProfile.of(pl.DataFrame({"value": values}), keys)
    return profiles
