"""The past of a snapshot, as tasks read it; it is passed to other processes as files."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyball.events import logged_types
from flyball.tasks import DECISIONS, About, OfflineFeatures, ServingLag

if TYPE_CHECKING:
    import polars

ReadEvents = Callable[[str], "polars.DataFrame"]
ReadShown = Callable[[Collection[str], int, int], Any]

_EVER_US = 2**62


class SnapshotPast:
    """What was known at `as_of_us`. `read`: returns the events of a type as known then; called once for each type."""

    def __init__(
        self,
        read: ReadEvents,
        as_of_us: int,
        lag: ServingLag,
        shown: ReadShown | None = None,
        decisions: "Callable[[], polars.DataFrame] | None" = None,
    ) -> None:
        self._read, self.as_of_us, self.lag, self._shown, self._decisions = read, as_of_us, lag, shown, decisions
        self._frames: dict[str, polars.DataFrame] = {}

    def events(self, name: str) -> "polars.DataFrame":
        if name not in self._frames:
            self._frames[name] = self._decided() if name == DECISIONS else self._read(name)
        return self._frames[name]

    def shown(self, keys: Collection[str], start_us: int, end_us: int) -> Any:
        return ({}, {}) if self._shown is None else self._shown(keys, start_us, end_us)

    def before(self, at_us: int) -> "SnapshotPast":
        import polars as pl

        def read(name: str) -> pl.DataFrame:
            return self.events(name).filter(pl.col("known_at") < at_us)

        decisions = None if self._decisions is None else lambda: read(DECISIONS)
        return SnapshotPast(read, min(at_us - 1, self.as_of_us), self.lag, self._shown, decisions)

    def _decided(self) -> "polars.DataFrame":
        import polars as pl

        return pl.DataFrame() if self._decisions is None else self._decisions()

    def frames(self, names: Iterable[str]) -> "dict[str, polars.DataFrame]":
        """{type: its events} of these types."""
        return {name: self.events(name) for name in names}


def event_names(about: About) -> list[str]:
    """The names of all event types that a task reads, including profiles and both sides of joined types."""
    profiles = [entity.profile for entity in about.entities if entity.profile is not None]
    types = (*logged_types(about.event_types), *about.event_types, *profiles)
    return [event.__name__.lower() for event in dict.fromkeys(types)]


def write_past(folder: Path, past: SnapshotPast, names: Iterable[str]) -> None:
    """Write the events of these types into `folder`, unless they are there."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for name in names:
            past.events(name).write_ipc(folder / f"{name}.arrow")


def read_past(folder: Path, as_of_us: int, lag: ServingLag) -> SnapshotPast:
    """The past that `write_past` wrote, as known at `as_of_us`."""
    import polars as pl

    def read(name: str) -> pl.DataFrame:
        return pl.read_ipc(folder / f"{name}.arrow").filter(pl.col("known_at") <= as_of_us)

    return SnapshotPast(read, as_of_us, lag)


def read_features(about: About, folder: str, lag: ServingLag) -> OfflineFeatures | None:
    """The declared features over what `write_past` wrote into `folder`; None without any, or without a folder.

    They read all of it: each request sees what was known at its time.
    """
    if not about.feature_groups or not folder:
        return None
    frames = read_past(Path(folder), _EVER_US, lag).frames(event_names(about))
    return OfflineFeatures(about.feature_groups, frames, apply_delay_us=lag.features_us)
