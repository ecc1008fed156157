"""Builds what is derived from the logs again, beside what serves, and lets it take the place of that.

State, features, outcomes, coverage of intervals and counts of exposures are functions of the logs: built from logs
without the removed records, they are as if these had never been. Answers are made from the old ones until the end.
"""

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import msgspec

from flyball.core import StoreUnavailable, take_content
from flyball.home import HomeLayout
from flyball.operations import Worker, adapted_intervals, consumers_of
from flyball.outcomes import Location, discard_tables, outcomes_beside, take_place
from flyball.runtime import Runtime
from flyball.stores import Replaceable, StateStore, state_beside

_ELSEWHERE = ("history", "prediction_history")
"""The consumers whose store is written again in its own place."""
EXPOSURES = "exposures.db"


class ViewsBeside:
    """The views of a runtime, built in `removal/views` of its home, or beside it in the same server."""

    def __init__(self, runtime: Runtime, on_step: Callable[[str], object], token: int = 0) -> None:
        self._runtime, self._on_step, self._token = runtime, on_step, token
        self._folder = runtime.layout.removal / "views"

    def build(self) -> None:
        """Build them from the beginning of the logs; what an interrupted run has built is deleted."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        for _, built in self._tables:
            discard_tables(built)
        consumers = consumers_of(self._built, flush_us=0, token=self._token)
        worker = Worker([consumer for consumer in consumers if consumer.name not in _ELSEWHERE])
        while not (report := worker.step(self._runtime.clock.now_us())).idle:
            behind = max((lag.behind for lag in report.lags.values()), default=0)
            self._on_step(f"building the views again: {behind:,} records to go")
        for name, lag in report.lags.items():
            if lag.error or lag.behind:
                raise StoreUnavailable(
                    f"{name} must be built again from the log, got: {lag.error or f'{lag.behind} records left'}; run "
                    "the command again"
                )
        worker.close()

    def swap(self) -> None:
        """Let them take the place of those that serve; each as a whole, and the rest in the next run after a kill."""
        _take_state(self._runtime.state, self._built.state, self._built.settings.state)
        self._on_step("state built again")
        if self._has_features:
            _take_state(self._runtime.feature_state, self._built.feature_state, self._built.settings.features)
            self._on_step("features built again")
        for location, built in self._tables:
            take_place(location, built)
            self._on_step("outcomes built again")
        self._discard_intervals()
        counted = self._built.home / EXPOSURES
        if counted.exists():
            take_content(self._runtime.exposures_path, counted)
        self._on_step("exposures counted again")
        self._runtime.catalog.replace(self._runtime.log)
        self._on_step("catalog read again")
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _has_features(self) -> bool:
        return bool(self._runtime.app.task.about.feature_groups)

    @cached_property
    def _built(self) -> Runtime:
        settings, folder = self._runtime.settings, self._folder
        beside = HomeLayout(folder)
        own = {name: getattr(settings, name) for name in ("events", "predictions", "registry", "artifacts")}
        built = msgspec.structs.replace(
            settings,
            **own,
            home=str(folder),
            state=state_beside(self._runtime.state),
            features=state_beside(self._runtime.feature_state) if self._has_features else beside.features,
            outcomes=outcomes_beside(settings.outcomes, folder),
            history=beside.history,
            catalog=beside.catalog,
            quarantine=beside.quarantine,
            apply_delays=beside.apply_delays,
            traces="",
        )
        return Runtime(self._runtime.app, built, self._runtime.clock)

    @cached_property
    def _tables(self) -> list[tuple[Location, Location]]:
        levels = [interval.level for interval in adapted_intervals(self._runtime)]
        own, built = self._runtime, self._built
        return [
            (own.outcomes_path, built.outcomes_path),
            *((own.intervals_path(level), built.intervals_path(level)) for level in levels),
        ]

    def _discard_intervals(self) -> None:
        """Delete the coverage of levels that no version in service predicts: nobody would build it again."""
        kept = {location for location, _ in self._tables}
        outcomes = self._runtime.outcomes_path
        if isinstance(outcomes, Path):
            for path in outcomes.parent.glob("intervals_*.db"):
                if path not in kept:
                    discard_tables(path)


def _take_state(store: StateStore, built: StateStore, url: str) -> None:
    """Let what was built take the place of what is in the store: as a whole, or by one write of what differs."""
    if isinstance(store, Replaceable):
        built.close()
        store.replace(url)
        return
    old, new = dict(store.scan(b"")), dict(built.scan(b""))
    changes: dict[bytes, bytes | None] = {key: value for key, value in new.items() if old.get(key) != value}
    store.write(changes | dict.fromkeys(old.keys() - new.keys()), built.offsets())
