"""Keeps what answers are made from up to date: released versions, lists in memory, the catalogue, the lag.

One step is one look; the process looks four times a second in a thread of its own, so that loading and verifying a
version never stands in the way of a request. What cannot be read stays as it was and is counted.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import ArtifactCorrupt, Clock, StoreUnavailable
from flyball.events import Offsets
from flyball.releases import ReleaseState, arrangement_value, current
from flyball.runtime import Runtime
from flyball.serving.answering.engine import Engine, NoFallback, Serving
from flyball.serving.metrics import Figures
from flyball.serving.versions.integrity import ArtifactFiles
from flyball.serving.versions.loader import Loaded, load_version, reopen, verify_version
from flyball.state import Catalog, catalog_version, load_catalog
from flyball.tasks import Fallback, Online, Request, Stores

EVERY_S = 0.25
LAG_TOLD_US = 1_000_000
_FALLBACK_US = 1_000_000
_CATALOG_US = 10_000_000
_FILLING_US = 1_000_000
"""How often the catalogue is looked at while it is empty or the state lags: then items arrive by the thousand."""
_RETRY_US = 5_000_000
_CATALOG_TRIES = 3


class Freshness:
    """How old the online state is: since when the log holds events that are not applied yet.

    `first_us`: how long what the first look finds unapplied counts as having waited, which nobody knows.
    """

    def __init__(self, first_us: int = 0) -> None:
        self._looks: deque[tuple[int, Offsets]] = deque()
        self._first_us = first_us

    def look(self, now_us: int, applied: Offsets, ends: Offsets) -> int:
        """Microseconds since the oldest unapplied event was first seen in the log; 0 when all are applied.

        When the clock has been set back, the time counts from then on.
        """
        if self._first_us and not _covers(applied, ends):
            self._looks.append((now_us - self._first_us, ends))
        self._first_us = 0
        if self._looks and now_us < self._looks[-1][0]:
            self._looks = deque((now_us, seen) for _, seen in self._looks)
        if not self._looks or self._looks[-1][1] != ends:
            self._looks.append((now_us, ends))
        while self._looks and _covers(applied, self._looks[0][1]):
            self._looks.popleft()
        if len(self._looks) > 1_000:  # a consumer that stands still: every second look tells enough
            self._looks = deque(look for place, look in enumerate(self._looks) if place % 2 == 0)
        return now_us - self._looks[0][0] if self._looks else 0


def _covers(applied: Offsets, ends: Offsets) -> bool:
    return all(end <= (applied[place] if place < len(applied) else 0) for place, end in enumerate(ends))


class Keeper:
    """Looks after one engine. `step` is called from one thread; `bench` and `reasons` from any."""

    def __init__(self, runtime: Runtime, engine: Engine, figures: Figures, clock: Clock) -> None:
        self._runtime, self._engine, self._figures, self._clock = runtime, engine, figures, clock
        self._known = runtime.app.model_classes
        self._lock = threading.Lock()
        self._release = ReleaseState()
        self._loaded: dict[str, Loaded] = {}
        self._files = ArtifactFiles()
        self._failed: dict[str, tuple[str, int]] = {}
        self._benched: dict[str, str] = {}
        self._catalog: Catalog | None = None
        self._catalog_offsets: Offsets = ()
        self._stores: Stores | None = None
        self._onlines: dict[bytes, Online] = {}
        self._arrangement: Mapping[str, Any] = runtime.app.task.about.arrangement
        self._fallback: Fallback = NoFallback()
        self._fallback_version = ""
        self._due_us: dict[str, int] = {}
        self._last_us = 0
        self._freshness = Freshness(LAG_TOLD_US + 1)
        self._trouble: dict[str, str] = {}
        self._looked, self._released, self._events = False, False, False
        self._loading = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def step(self) -> None:
        """One look at everything that is due."""
        now_us = self._clock.now_us()
        if now_us < self._last_us:  # the clock was set back: what was due then is due now
            self._due_us.clear()
            with self._lock:
                self._failed = {version: (reason, now_us) for version, (reason, _) in self._failed.items()}
        self._last_us = now_us
        self._when_due("lag", now_us, 0, lambda: self._look_at_lag(now_us))
        self._when_due("catalogue", now_us, _CATALOG_US, self._look_at_catalog)
        if self._engine.stale_us or self._catalog is None or not self._catalog.ids:
            self._due_us["catalogue"] = min(self._due_us["catalogue"], now_us + _FILLING_US)
        self._when_due("files", now_us, 0, lambda: self._look_at_files(now_us))
        self._when_due("release", now_us, 0, lambda: self._look_at_release(now_us))
        self._when_due("fallback", now_us, _FALLBACK_US, self._look_at_fallback)
        self._looked = True
        self._figures.gauge("ready", int(not self.unready()))

    def bench(self, version: str, reason: str) -> None:
        """Take `version` out of service until another release comes."""
        with self._lock:
            self._benched[version] = reason
        self._publish()

    def contexts(self, requests: Sequence[Request]) -> tuple[Sequence[Any], Offsets]:
        """What the state holds about each request."""
        return self.online.contexts(requests)

    @property
    def online(self) -> Online:
        """The task's online door over the stores as they are known."""
        return self.online_of(self._runtime.app.task.about.declaration)

    def online_of(self, declaration: Mapping[str, Any]) -> Online:
        """The online door of the task as a version declared it; raises `Refused` for what is declared no more."""
        app = self._runtime.app
        declared = declaration or app.task.about.declaration
        key = msgspec.json.encode(declared, order="deterministic")
        if key in self._onlines:
            return self._onlines[key]
        task = app.task if declared == app.task.about.declaration else app.task_of(declared)
        if self._stores is None:
            try:
                self._stores = Stores(self._runtime.state, self._runtime.features, {})
            except Exception as error:  # a store that cannot be opened: versions can be loaded, their lists be shown
                return task.online(Stores(_Unavailable(error), self._runtime.features, {}))
        self._onlines[key] = task.online(self._stores)
        return self._onlines[key]

    @property
    def settled(self) -> bool:
        """Whether answers are as good as they get: the champion is in service, or it is known that there is none.

        Where the log holds events, the consumers are given the time to make a first list of them.
        """
        serving = self._engine.serving
        if not (self._looked and self._released and serving.release.champion in (None, *serving.pipelines)):
            return False
        return bool(serving.fallback.ready or serving.pipelines or not self._events)

    def unready(self) -> list[str]:
        """Why no list can be answered yet; empty when one can."""
        if self._loading and not self._engine.serving.pipelines:
            return [f"{self._loading} is being loaded"]
        if not self._looked:
            return ["stores are being opened"]
        if not self._released:
            return ["what is released is not known yet", *self._trouble.values()]
        if not self._engine.serving.fallback.ready and not self._engine.serving.pipelines:
            return ["no item is known yet: ingest events or a catalogue", *self._trouble.values()]
        return []

    def reasons(self) -> list[str]:
        """What is not as it should be, though lists can be answered."""
        serving = self._engine.serving
        found = [f"{version} is out of service: {reason}" for version, reason in serving.refused.items()]
        if serving.release.champion is None:
            found.append("no version is released yet: run flyball learn")
        for version in serving.pipelines:
            if gone := self._files.gone(version):
                found.append(f"{version} serves from memory, but {gone[0]} is gone: a restart cannot load it")
        return [*found, *self._trouble.values()]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as error:  # this thread must not end: without it no release would come through
                self._figures.note("fault", "keeper", error)
            self._stop.wait(EVERY_S)

    def _when_due(self, name: str, now_us: int, every_us: int, look: Callable[[], None]) -> None:
        if now_us < self._due_us.get(name, 0):
            return
        self._due_us[name] = now_us + every_us
        try:
            look()
            self._trouble.pop(name, None)
        except Exception as error:  # a store that is locked or gone: what was known stays in service
            self._figures.note("poll", name, error)
            self._trouble[name] = f"{name} could not be read: {error}"

    def _look_at_fallback(self) -> None:
        self._events = self._events or any(self._runtime.log.ends())
        best = next((version for version in wanted(self._release) if version in self._loaded), "")
        fallback = self.online.fallback(self._loaded[best].pipeline if best else None)
        with self._lock:
            self._fallback, self._fallback_version = fallback, best
        self._publish()

    def _look_at_catalog(self) -> None:
        store, item = self._runtime.state, self._runtime.app.task.item
        if self._catalog is not None and catalog_version(store, item) == self._catalog.version:
            return
        for _ in range(_CATALOG_TRIES):
            catalog, offsets = load_catalog(store, item, self._catalog), store.offsets()
            if catalog_version(store, item) == catalog.version:
                break
        else:
            offsets = ()  # it changed meanwhile, again and again: no offsets stand for what was read
        self._stores, self._onlines = Stores(store, self._runtime.features, {item.name: catalog}), {}
        loaded = self._reopened()
        with self._lock:
            self._loaded, self._catalog, self._catalog_offsets = loaded, catalog, offsets
            self._due_us["fallback"] = 0
        self._publish()

    def _look_at_release(self, now_us: int) -> None:
        release = current(self._runtime.registry)
        if release.serial != self._release.serial:
            with self._lock:
                self._benched, self._failed = {}, {}
        if release.arrangement != self._release.arrangement:
            self._arrangement = arrangement_value(
                self._runtime.registry, release.arrangement, self._runtime.app.task.about.arrangement
            )
            rearranged = self._reopened()
            with self._lock:
                self._loaded = rearranged
        missing = [version for version in wanted(release) if version not in self._loaded]
        changed = release.serial != self._release.serial
        for version in missing:
            if now_us >= self._failed.get(version, ("", 0))[1] and version not in self._benched:
                self._load(version, now_us)
                changed = True
        if changed:
            if release.serial != self._release.serial:
                self._figures.counters.add("reloads")
            with self._lock:
                self._release = release
                kept = {version: self._loaded[version] for version in wanted(release) if version in self._loaded}
                self._loaded = kept
            self._files.forget(kept)
            self._due_us["fallback"] = 0
            self._publish()
        self._released = True

    def _load(self, version: str, now_us: int) -> None:
        self._loading = version
        try:
            described = self._runtime.registry.version(version)
            self._files.note(version, self._runtime.artifacts / described.artifact, described.artifact_files)
            online = self.online_of(described.declaration)
            loaded = load_version(online, described, self._runtime.artifacts, self._known, now_us, self._arrangement)
            with self._lock:
                self._loaded[version] = loaded
                self._failed.pop(version, None)
        except Exception as error:  # whatever is wrong with it, it does not serve; it is tried again later
            with self._lock:
                self._failed[version] = (str(error), now_us + _RETRY_US)
            self._figures.note("load", version, error)
        finally:
            self._loading = ""

    def _reopened(self) -> dict[str, Loaded]:
        """The loaded versions over the stores as they are known, by the arrangement that is released."""
        return {
            version: reopen(one, self.online_of(one.declaration), self._arrangement)
            for version, one in self._loaded.items()
        }

    def _look_at_files(self, now_us: int) -> None:
        """A file of a version in service that was written to is verified again; what is wrong no longer serves."""
        for version in list(self._loaded):
            if not self._files.changed(version):
                continue
            described = self._runtime.registry.version(version)
            folder = self._runtime.artifacts / described.artifact
            self._files.note(version, folder, described.artifact_files)
            try:
                verify_version(described, self._runtime.artifacts)
            except ArtifactCorrupt as error:
                with self._lock:
                    del self._loaded[version]
                    self._failed[version] = (str(error), now_us + _RETRY_US)
                self._figures.note("load", version, error)
                self._publish()

    def _look_at_lag(self, now_us: int) -> None:
        lag_us = self._freshness.look(now_us, self._runtime.state.offsets(), self._runtime.log.ends())
        self._engine.stale_us = lag_us if lag_us > LAG_TOLD_US else 0
        self._figures.gauge("stale_us", self._engine.stale_us)

    def _publish(self) -> None:
        with self._lock:
            refused = {version: reason for version, (reason, _) in self._failed.items()} | self._benched
            loaded = {name: one for name, one in self._loaded.items() if name not in self._benched}
            declared = self._runtime.app.task.about.declaration
            self._engine.serving = Serving(
                self._release,
                {name: one.pipeline for name, one in loaded.items()},
                refused,
                self._fallback,
                self._fallback_version,
                self._catalog_offsets,
                {name: one.online.contexts for name, one in loaded.items() if one.declaration not in ({}, declared)},
            )
            self._figures.gauge("refused", len(refused))


class _Unavailable:
    """A state store that could not be opened."""

    def __init__(self, reason: Exception) -> None:
        self._reason = reason

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        raise StoreUnavailable(str(self._reason))

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        raise StoreUnavailable(str(self._reason))

    def offsets(self) -> Offsets:
        raise StoreUnavailable(str(self._reason))

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        raise StoreUnavailable(str(self._reason))

    def close(self) -> None:
        pass


def wanted(release: ReleaseState) -> Sequence[str]:
    """The versions to hold ready, best first: the champion, those under release, the previous champion."""
    names = (release.champion, *(arm.version for arm in release.arms), release.previous)
    return list(dict.fromkeys(name for name in names if name))
