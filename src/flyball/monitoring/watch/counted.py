"""What the numbers of rows of a window say: volumes beside their season, and events beside the answers they follow."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from flyball.monitoring.findings.finding import fingerprint_of
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.watch.answering import AnsweringChange, follows_answers, usual_events_since
from flyball.monitoring.watch.followed import DECISIONS, WindowRows, decided_answers, followed_answers, same_mix
from flyball.monitoring.watch.lost_events import LOST_EVENTS, observe_lost
from flyball.monitoring.watch.refused import QUARANTINE, observe_refused
from flyball.monitoring.watch.season import FEWEST_DAYS
from flyball.monitoring.watch.source_rows import SOURCE
from flyball.monitoring.watch.volume import VOLUME, observe_volume
from flyball.monitoring.watch.window_store import Volumes, WindowTables

_DAY_US = 86_400_000_000
_PREDICTIONS, _EVENTS = "predictions", "events."


class CountedLook(Struct, frozen=True):
    """The look at the window of `every_us` that begins at `start_us`, microseconds since 1970.

    `seasons`: of `forecast_volume`. `earlier_us`: the starts of the windows at the same time of earlier days.
    `suspects`: {fingerprint of a monitor: since when its evidence grows}; these windows do not show what is usual, nor
    do those before `usual_since_us`, and of a table those before `starts`. `changes`: of who answers. `inputs`: tables
    of requests. `late`: tables of events that follow the decisions of many windows before, such as chargebacks.
    """

    start_us: int
    every_us: int
    seasons: Sequence[Sequence[int]]
    earlier_us: Sequence[int]
    suspects: Mapping[str, int] = {}
    starts: Mapping[str, int] = {}
    usual_since_us: int = 0
    changes: Sequence[AnsweringChange] = ()
    inputs: Sequence[str] = ()
    ignore: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()

    def first_us(self, table: str) -> int:
        """From when on windows show how many rows of `table` are usual."""
        return max(self.starts.get(table, 0), self.usual_since_us)

    def released_us(self, table: str, answers: WindowRows) -> int:
        """The same, as far as it depends on who answers."""
        if not table.startswith(_EVENTS) or not follows_answers(table, self.inputs):
            return 0
        return usual_events_since(self.changes, self.start_us + self.every_us, list(answers))

    def enough(self, counts: WindowRows) -> bool:
        """Whether so many windows are a week or more."""
        return len(counts) * self.every_us >= FEWEST_DAYS * _DAY_US


def observe_volumes(look: CountedLook, volumes: Volumes, profiles: WindowTables) -> Iterator[Observation]:
    """The volumes of all tables that have been counted for a week."""
    answers = volumes.get(_PREDICTIONS, {})
    for table, rows in volumes.items():
        first_us = max(look.first_us(table), look.released_us(table, answers))
        begun_us = min(rows, default=0)  # the log begins somewhere within the first window, so that it lacks rows
        counts = {start: number for start, number in rows.items() if start >= first_us and start > begun_us}
        if table.startswith((DECISIONS, SOURCE)) or table in look.ignore or not look.enough(counts):
            continue
        usual = usual_rows(look.suspects.get(fingerprint_of(VOLUME, table)), counts, look)
        usual[look.start_us] = counts[look.start_us]
        if table == QUARANTINE:
            accepted = sum(profile.rows for name, profile in profiles.items() if name.startswith(_EVENTS))
            yield observe_refused(profiles[table], accepted, usual, look.start_us, look.seasons)
        else:
            yield _observe(look, table, usual, volumes)


def _observe(look: CountedLook, table: str, usual: WindowRows, volumes: Volumes) -> Observation:
    """The volume; of events that follow some of the decisions, as if there had been as many of these as now."""
    seen = [observe_volume(table, usual, look.start_us, look.seasons)]
    decided, answers = decided_answers(volumes), volumes.get(_PREDICTIONS, {})
    if decided and table.startswith(_EVENTS) and follows_answers(table, look.inputs):
        past_us = [at_us for at_us in usual if answers.get(at_us) and at_us < look.start_us]
        for answered in followed_answers(usual, answers, decided, past_us):
            if not answered.all_answers:
                alike = same_mix(usual, answers, answered.counts, look.start_us)
                seen.append(observe_volume(table, alike, look.start_us, look.seasons))
    return max(seen, key=lambda observed: float(observed.evidence["p"]))


def usual_rows(since_us: int | None, counts: WindowRows, look: CountedLook) -> dict[int, int]:
    """The windows before `since_us`, unless they are less than a week: then what came since is taken for usual."""
    before = {start: rows for start, rows in counts.items() if since_us is None or start < since_us}
    return before if look.enough(before) else dict(counts)


def observe_lost_events(look: CountedLook, volumes: Volumes) -> Iterator[Observation]:
    """Whether the events came that follow from answers, of all tables of events but the late ones.

    Of these fewer come for weeks after a service begins to decline what would have led to them.
    """
    answers, decided = volumes.get(_PREDICTIONS, {}), decided_answers(volumes)
    for table, counts in volumes.items():
        if not table.startswith(_EVENTS) or table in look.ignore or table in look.late:
            continue
        since_us = look.suspects.get(fingerprint_of(LOST_EVENTS, table)) or look.start_us
        first_us = look.first_us(table)
        if not decided:  # nothing says which answers have events, so answers of a default are no measure
            first_us = max(first_us, look.released_us(table, answers))
        usual_us = _windows_with_answers(look, answers, first_us, since_us)
        seen = observe_lost(table, counts, answers, look.start_us, usual_us, decided)
        if seen is not None:
            yield seen


def _windows_with_answers(look: CountedLook, answers: WindowRows, first_us: int, before_us: int) -> list[int]:
    """The windows at the same time of earlier days; in the first week of a service, which has too few of these, all.

    How many events follow an answer depends on the hour far less than how many there are, and where it does, the
    windows of all hours lie so far apart that only a large loss is beyond them.
    """
    same = [start for start in look.earlier_us if first_us <= start < before_us]
    if sum(answers.get(start, 0) > 0 for start in same) >= FEWEST_DAYS:
        return same
    begun_us = min(answers, default=0)  # the first window may be a part
    return [start for start in answers if max(first_us, begun_us + 1) <= start < before_us]
