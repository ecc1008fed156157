"""What the releases of cases were worth, from the impact ledger."""

from collections.abc import Sequence

import msgspec

from flyball.core import FlyballError
from flyball.experiments import impact_ledger
from flyball.releases import CaseReport
from flyball.runtime import Runtime


def with_payoffs(runtime: Runtime, reports: Sequence[CaseReport], as_of_us: int) -> list[CaseReport]:
    """The same with the measured effect of each release, as known at `as_of_us`."""
    if not any(report.release for report in reports):
        return list(reports)
    try:
        rows = {row.version: msgspec.to_builtins(row) for row in impact_ledger(runtime, as_of_us).rows}
    except FlyballError:  # outcomes that cannot be read hide no case
        return list(reports)
    return [msgspec.structs.replace(report, payoff=rows.get(report.version)) for report in reports]
