"""The look at a table: its columns beside earlier windows, of accepted shifts only beside those since the shift.

Windows since something seems to be wrong are left out until that is decided: beside them a shift looks usual.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.profiles.table import TableProfile
from flyball.monitoring.watch.columns import Reference, observe_columns, subject_of, suspected_us
from flyball.monitoring.watch.season import FEWEST_DAYS, SeasonalWindow, like_window
from flyball.monitoring.watch.suspected import undoubted

EarlierProfiles = Sequence[tuple[SeasonalWindow, TableProfile]]
"""Earlier windows with the profile of the table in each, oldest first."""


class TableLook(Struct, frozen=True):
    """How a table is looked at: `weekday` and `length_us` of the window; `starts`: {subject: from when on windows show
    what is usual}; `suspects`: {fingerprint of a monitor: since when something seems wrong}; these windows show nothing
    usual. `least`, `ignore` and `suffix`: as of `observe_columns`."""

    weekday: int
    length_us: int
    starts: Mapping[str, int]
    suspects: Mapping[str, int]
    least: float
    ignore: frozenset[str]
    suffix: str = ""

    def usual_windows(self, subject: str, earlier: EarlierProfiles) -> tuple[int, ...]:
        """The starts of those of `earlier` that show what is usual of a column.

        They end before the evidence of any of its monitors began to grow, unless there are fewer than 7 of them.
        """
        since_us, until_us = self.starts.get(subject, 0), suspected_us(subject, self.suspects)
        usual = [window.start_us for window, profile in earlier if profile.rows and window.start_us >= since_us]
        return tuple(undoubted(usual, self.length_us, until_us))


def observe_table(table: str, now: TableProfile, earlier: EarlierProfiles, look: TableLook) -> list[Observation]:
    """The observations of the columns of a window of `table`; none while fewer than 7 earlier windows have rows."""
    if sum(profile.rows > 0 for _, profile in earlier) < FEWEST_DAYS:
        return []
    alike: dict[tuple[int, ...], list[str]] = {}
    for name in dict.fromkeys(name for profile in (*(then for _, then in earlier), now) for name in profile.columns):
        alike.setdefault(look.usual_windows(subject_of(table, name), earlier), []).append(name)
    seen = []
    for starts, names in alike.items():
        usual = [(window, then.only(*names)) for window, then in earlier if window.start_us in starts]
        seen += _compared(table, now.only(*names), usual, look)
    return seen


def _compared(table: str, now: TableProfile, usual: EarlierProfiles, look: TableLook) -> list[Observation]:
    if len(usual) < FEWEST_DAYS:
        return []
    like = like_window([window for window, _ in usual], look.weekday)
    starts = {window.start_us for window in like}
    reference = Reference(
        [profile for window, profile in usual if window.start_us in starts],
        [(window.weekday, profile) for window, profile in usual],
    )
    return observe_columns(table, now, reference, least=look.least, ignore=look.ignore, suffix=look.suffix)
