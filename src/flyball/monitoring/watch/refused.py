"""Lines that were refused: whether more of them came than usual, and why they were."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from flyball.events import Quarantine, entries_between
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.profiles.table import TableProfile
from flyball.monitoring.watch.volume import observe_volume

if TYPE_CHECKING:
    import polars as pl

QUARANTINE = "quarantine"
_SEVERE_SHARE = 0.1
"""The share of refused lines among all lines from which they are of high severity."""


def quarantine_table(quarantine: Quarantine, since_us: int, until_us: int) -> "pl.DataFrame":
    """A row for each line refused in `[since_us, until_us)`: `reason`, `source`."""
    import polars as pl

    rows = [(entry.reason, entry.source) for entry in entries_between(quarantine, since_us, until_us)]
    return pl.DataFrame(rows, schema={"reason": pl.String, "source": pl.String}, orient="row")


def observe_refused(
    profile: TableProfile, accepted: int, counts: Mapping[int, int], start_us: int, season_us: Sequence[Sequence[int]]
) -> Observation:
    """Whether more lines were refused than usual; fewer are fine.

    `profile`: of `quarantine_table`. `accepted`: events in the same window. For the rest see `observe_volume`.
    """
    seen = observe_volume(QUARANTINE, counts, start_us, season_us)
    expected = float(str(seen.evidence["expected"]))
    if profile.rows <= expected:
        return replace(seen, matters=False)
    reasons, sources = (_most(profile, column) for column in ("reason", "source"))
    message = (
        f"{profile.rows:,} lines were refused, expected {expected:,.0f}; most for {reasons}, from {sources}: "
        "flyball quarantine list shows them"
    )
    severe = profile.rows >= _SEVERE_SHARE * (profile.rows + accepted)
    return replace(seen, message=message, severity="high" if severe else "low", origin="own")


def _most(profile: TableProfile, column: str) -> str:
    most = profile.column(column).frequent.most(1)
    return str(most[0][0]) if most else "unknown"
