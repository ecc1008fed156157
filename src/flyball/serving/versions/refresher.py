"""Refreshes what answers are made from: released versions, the fallback, the catalog, the lag.

One step polls once; the process polls four times a second in a separate thread, so that loading and verifying a version
never delays a request. When something cannot be read, the present value is kept and a failure is counted.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flyball.core import ArtifactCorrupt, Clock, StoreUnavailable
from flyball.events import Offsets, consumer_troubles, read_worker_report
from flyball.home import interrupted_removal
from flyball.outcomes import IntervalState, read_interval
from flyball.registry import Version
from flyball.releases import (
    ReleaseState,
    arrangement_id,
    arrangement_in_service,
    arrangement_value,
    arrangements_of_arms,
    current,
    versions_to_serve,
)
from flyball.runtime import Runtime
from flyball.serving.answering.engine import Engine, NoFallback, ReadContexts, Serving
from flyball.serving.metrics import ServingMetrics
from flyball.serving.review_counts import ReviewCounts
from flyball.serving.versions.integrity import ArtifactFiles
from flyball.serving.versions.item_titles import items_of, titles_of
from flyball.serving.versions.loader import Loaded, VersionLoader
from flyball.serving.versions.state_lag import StateLag
from flyball.serving.versions.unavailable_state import UnavailableState
from flyball.state import Catalog, catalog_version, load_catalog
from flyball.stores import StateStore
from flyball.tasks import About, AnswersAtOnce, Fallback, IntervalShift, Online, Request, Stores

EVERY_S = 0.25
MIN_LAG_US = 1_000_000
_FALLBACK_US = 1_000_000
_INTERVAL_US = 1_000_000
_CATALOG_US = 10_000_000
_FILLING_US = 1_000_000
"""The polling period of the catalog while it is empty or the state lags, when items arrive by the thousand."""
_RETRY_US = 5_000_000
_CATALOG_TRIES = 3


class Refresher:
    """Keeps `engine` up to date. `step` is called from one thread; `trip` and `reasons` from any.

    `versions`: those to hold ready of what is released, best first. `reviews`: counts reviews, where answers are sent.
    `report`: called with the versions in service each time others are in service.
    """

    def __init__(
        self,
        runtime: Runtime,
        metrics: ServingMetrics,
        clock: Clock,
        versions: Callable[[ReleaseState], list[str]] = versions_to_serve,
        reviews: ReviewCounts | None = None,
        report: Callable[[Mapping[str, Version]], None] | None = None,
    ) -> None:
        self._report, self._served = report, dict[str, Version]()
        self._reported: dict[str, Version] | None = None
        self._reviews = reviews
        self._runtime, self._metrics, self._clock, self._versions = runtime, metrics, clock, versions
        self._fallback = _first_fallback(runtime)
        self.engine = Engine(self.contexts, metrics.note, Serving(fallback=self._fallback))
        self._lock = threading.Lock()
        self._release = ReleaseState()
        self._loaded: dict[str, Loaded] = {}
        self._arranged: dict[tuple[str, int], Loaded] = {}
        self._files = ArtifactFiles()
        self._failed: dict[str, tuple[str, int]] = {}
        self._tripped: dict[str, str] = {}
        self._catalog: Catalog | None = None
        self._catalog_offsets: Offsets = ()
        self._titles: dict[str, str] = {}
        self._loader: VersionLoader | None = None
        self._contexts: ReadContexts | None = None
        self._fallback_version, self._fallback_arrangement = "", 0
        self._intervals: dict[float, IntervalState | None] = {}
        self._due_us: dict[str, int] = {}
        self._last_us = 0
        self._lag = StateLag(MIN_LAG_US + 1)
        self._troubles: dict[str, str] = {}
        self._polled, self._released, self._events = False, False, False
        self._loading = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def step(self) -> None:
        """Poll everything that is due."""
        now_us = self._clock.now_us()
        if now_us < self._last_us:  # the clock was set back: poll everything now
            self._due_us.clear()
            with self._lock:
                self._failed = {version: (reason, now_us) for version, (reason, _) in self._failed.items()}
        self._last_us = now_us
        self._when_due("lag", now_us, 0, lambda: self._poll_lag(now_us))
        self._when_due("catalog", now_us, _CATALOG_US, self._poll_catalog)
        if self.engine.stale_us or self._catalog is None or not self._catalog.ids:
            self._due_us["catalog"] = min(self._due_us["catalog"], now_us + _FILLING_US)
        self._contexts = self.loader.online().contexts
        self._when_due("files", now_us, 0, lambda: self._poll_files(now_us))
        self._when_due("interval", now_us, _INTERVAL_US, self._poll_interval)
        if self._reviews is not None:  # before a version may decide
            self._when_due("reviews", now_us, 0, self._poll_reviews)
        self._when_due("release", now_us, 0, lambda: self._poll_release(now_us))
        self._when_due("fallback", now_us, _FALLBACK_US, self._poll_fallback)
        if self._report is not None and self._served != self._reported:  # last, as nobody waits for it
            self._report(self._served)
            self._reported = self._served
        self._polled = True
        self._metrics.gauge("ready", int(not self.unready()))

    def trip(self, version: str, reason: str) -> None:
        """Open the circuit breaker of `version`: it is out of service until the next release."""
        with self._lock:
            self._tripped[version] = reason
        self._publish()

    def contexts(self, requests: Sequence[Request]) -> tuple[Sequence[Any], Offsets]:
        """What the state holds about each request, by today's declaration. Opens nothing itself: that may take long."""
        if self._contexts is None:
            raise StoreUnavailable("the stores are being opened: send it again in a moment")
        return self._contexts(requests)

    def online_of(self, version: str) -> Online:
        """The online interface of a version in service."""
        return self._loaded[version].online

    @property
    def loader(self) -> VersionLoader:
        """The loader of versions over the present stores."""
        if self._loader is not None:
            return self._loader
        try:
            state: StateStore = self._runtime.state
        except Exception as error:  # a store that cannot be opened: versions can be loaded and described
            return self._loader_over(UnavailableState(error), {})
        self._loader = self._loader_over(state, {})
        return self._loader

    @property
    def settled(self) -> bool:
        """Whether answers cannot get better by waiting: the champion is in service, or there is none.

        Where the log holds events, consumers are given the time to make a first fallback from them.
        """
        serving = self.engine.serving
        if not (self._polled and self._released and serving.release.champion in (None, *serving.pipelines)):
            return False
        if serving.fallback.ready:
            return True
        return not self._stateless() if serving.pipelines else not self._events

    def unready(self) -> list[str]:
        """The reasons why no request can be answered yet; empty when one can."""
        if self._loading and not self.engine.serving.pipelines:
            return [f"{self._loading} is being loaded"]
        if not self._polled:
            return ["stores are being opened"]
        if not self._released:
            return ["what is released is not known yet", *self._troubles.values()]
        serving = self.engine.serving
        if serving.fallback.ready or (serving.pipelines and not self._stateless()):
            return []
        lost = _out_of_service(serving) or [self._stateless()] * bool(serving.pipelines)
        return [*(lost or [self._runtime.app.task.about.first_needs]), *self._troubles.values()]

    def _stateless(self) -> str:
        """Why nothing is known yet of the items that answers are made of; "" otherwise.

        A state that cannot be read is no reason: what a version precomputed is better than no answer.
        """
        empty = self._catalog is not None and not self._catalog.ids
        return "the state is being built from the log" if empty and self.engine.stale_us else ""

    def reasons(self) -> list[str]:
        """Problems in spite of which requests can be answered."""
        serving = self.engine.serving
        reasons = _out_of_service(serving)
        if serving.release.champion is None and self._released and not self._loading:
            reasons.append("no version is released yet: run flyball learn")
        for version in serving.pipelines:
            if missing_files := self._files.gone(version):
                reasons.append(
                    f"{version} serves from memory, but {missing_files[0]} is gone: a restart cannot load it"
                )
        consumers = consumer_troubles(read_worker_report(self._runtime.worker_report_path), self._clock.now_us())
        interrupted = interrupted_removal(self._runtime.layout)  # what is served lags until it is completed
        return [*reasons, *([interrupted] if interrupted else []), *self._troubles.values(), *consumers.values()]

    def why_unanswered(self) -> str:
        """Why a request is given no value, and what to do."""
        known = self.unready() or self.reasons() or ["ask again"]
        return f"no value can be answered now: {'; '.join(known)}"

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as error:  # this thread must not end, or no release would be loaded
                self._metrics.note("fault", "refresher", error)
            self._stop.wait(EVERY_S)

    def _when_due(self, name: str, now_us: int, every_us: int, poll: Callable[[], None]) -> None:
        if now_us < self._due_us.get(name, 0):
            return
        self._due_us[name] = now_us + every_us
        try:
            poll()
            self._troubles.pop(name, None)
            self._metrics.healed("poll", name)
        except Exception as error:  # a store is locked or unavailable: the present value stays in service
            self._metrics.note("poll", name, error)
            self._troubles[name] = f"{name} could not be read: {error}"

    def _poll_fallback(self) -> None:
        self._events = self._events or any(self._runtime.log.ends())
        best = next((version for version in self._versions(self._release) if version in self._loaded), "")
        arrangement = 0
        if best:
            loaded = self._loaded[best]
            fallback, arrangement = loaded.online.fallback(loaded.pipeline), loaded.revision
        else:
            fallback, arrangement = self._fallback_without_version()
        with self._lock:
            self._fallback, self._fallback_version, self._fallback_arrangement = fallback, best, arrangement
        self._publish()

    def _fallback_without_version(self) -> tuple[Fallback, int]:
        """(what answers while no version is loaded, by which revision)."""
        task = self._runtime.app.task
        if not isinstance(task, AnswersAtOnce):
            return self.loader.online().fallback(None), 0
        revision, arrangement = arrangement_in_service(self._runtime.registry, task.about.arrangement)
        return task.first_fallback(arrangement), revision

    def _poll_catalog(self) -> None:
        items = items_of(self._runtime.app.task.about)
        store = self._runtime.state
        if items is None or (self._catalog is not None and catalog_version(store, items) == self._catalog.version):
            return
        for _ in range(_CATALOG_TRIES):
            catalog, offsets = load_catalog(store, items, self._catalog), store.offsets()
            if catalog_version(store, items) == catalog.version:
                break
        else:
            offsets = ()  # it changed meanwhile, again and again: no offsets stand for what was read
        loader = self._loader_over(store, {items.name: catalog})
        loaded = {}
        for version, loaded_version in list(self._loaded.items()):
            try:
                loaded[version] = loader.reopen(loaded_version, loaded_version.arrangement, loaded_version.revision)
            except StoreUnavailable:
                raise
            except Exception as error:  # the others get the new catalog
                self._take_out(version, error, self._last_us)
        arranged = {
            key: loader.reopen(known, known.arrangement, known.revision)
            for key, known in self._arranged.items()
            if key[0] in loaded
        }
        with self._lock:
            self._arranged = arranged
            self._loaded, self._catalog, self._catalog_offsets = loaded, catalog, offsets
            self._loader, self._titles = loader, titles_of(catalog, items)
            self._due_us["fallback"] = 0
        self._publish()

    def _loader_over(self, state: StateStore, catalogs: Mapping[str, Catalog]) -> VersionLoader:
        take_review = None if self._reviews is None else self._reviews.take
        stores = Stores(state, self._runtime.features, catalogs, interval=self._shift, reviews=take_review)
        return VersionLoader(self._runtime.app, self._runtime.artifact_files, stores, self._runtime.schema.written)

    def _poll_reviews(self) -> None:
        if self._reviews is not None:
            self._reviews.read(self._runtime.predictions, self._last_us)

    def _poll_interval(self) -> None:
        for level in list(self._intervals):
            self._intervals[level] = read_interval(self._runtime.intervals_path(level))

    def _keep_interval(self, about: About) -> None:
        """Let outcomes move the interval of answers made with `about` from now on, where they keep it at its level."""
        if about.interval is not None and about.interval.level not in self._intervals:
            level = about.interval.level
            self._intervals[level] = read_interval(self._runtime.intervals_path(level))

    def _shift(self, level: float) -> IntervalShift | None:
        """The shift of the interval of `level` by outcomes; None for one that is not adapted."""
        if level not in self._intervals:
            return None
        known = self._intervals[level]
        return known.shift if known is not None and known.level == level else IntervalShift(0, 0.0)

    def _poll_release(self, now_us: int) -> None:
        release = current(self._runtime.registry)
        changed = release.serial != self._release.serial
        if changed:
            self._metrics.forget("load", self._failed.keys() - {*self._versions(release)})
            with self._lock:
                self._tripped, self._failed = {}, {}
        for version in self._versions(release):
            if now_us < self._failed.get(version, ("", 0))[1] or version in self._tripped:
                continue
            if version not in self._loaded or self._loaded[version].revision != release.arrangement:
                self._load(version, release.arrangement, now_us)
                changed = True
        changed = self._arrange_arms(release, now_us) or changed
        if changed:
            if release.serial != self._release.serial:
                self._metrics.counters.add("reloads")
            with self._lock:
                self._release = release
                kept = {
                    version: self._loaded[version] for version in self._versions(release) if version in self._loaded
                }
                self._loaded = kept
            self._files.forget(kept)
            self._due_us["fallback"] = 0
            self._publish()
        self._released = True

    def _load(self, version: str, revision: int, now_us: int) -> None:
        self._loading = version
        try:
            registry = self._runtime.registry
            arrangement = arrangement_value(registry, revision, {})
            if version in self._loaded:
                loaded = self.loader.reopen(self._loaded[version], arrangement, revision)
            else:
                described = registry.version(version)
                self._files.note(version, self.loader.folder(described), described.artifact_files)
                loaded = self.loader.load(described, arrangement, revision, now_us)
            self._keep_interval(self._runtime.about_of(version, revision))
            with self._lock:
                self._loaded[version] = loaded
                self._failed.pop(version, None)
            self._metrics.healed("load", version)
        except Exception as error:  # any error: it does not serve, and is tried again later
            if isinstance(error, StoreUnavailable) and version in self._loaded:
                raise  # the registry is locked for a moment: all stays as it was
            self._take_out(version, error, now_us)
        finally:
            self._loading = ""

    def _arrange_arms(self, release: ReleaseState, now_us: int) -> bool:
        """Open the arms that answer by an arrangement of their own, of versions that are loaded; whether any is new."""
        pairs, changed = arrangements_of_arms(release), False
        for version, revision in pairs:
            name, loaded = f"{version}@{arrangement_id(revision)}", self._loaded.get(version)
            known = self._arranged.get((version, revision))
            if loaded is None or (known is not None and known.artifact is loaded.artifact):
                continue
            if now_us < self._failed.get(name, ("", 0))[1]:
                continue
            try:
                arrangement = arrangement_value(self._runtime.registry, revision, {})
                self._arranged[version, revision] = self.loader.reopen(loaded, arrangement, revision)
                self._failed.pop(name, None)
                self._metrics.healed("load", name)
                changed = True
            except Exception as error:  # whatever is wrong with it, this arm does not serve; it is tried again later
                self._arranged.pop((version, revision), None)
                self._failed[name] = (str(error), now_us + _RETRY_US)
                self._metrics.note("load", name, error)
        self._arranged = {key: loaded for key, loaded in self._arranged.items() if key in pairs}
        return changed

    def _take_out(self, version: str, reason: Exception, now_us: int) -> None:
        """Take a version out of service that cannot be opened as it is released now."""
        with self._lock:
            self._loaded.pop(version, None)
            self._failed[version] = (str(reason), now_us + _RETRY_US)
        self._metrics.note("load", version, reason)

    def _poll_files(self, now_us: int) -> None:
        """Verify versions in service whose files were written to; a corrupt one is taken out of service."""
        for version, loaded in list(self._loaded.items()):
            if not self._files.changed(version):
                continue
            described = loaded.version
            self._files.note(version, self.loader.folder(described), described.artifact_files)
            try:
                self.loader.verify(described)
            except ArtifactCorrupt as error:
                self._take_out(version, error, now_us)
                self._publish()

    def _poll_lag(self, now_us: int) -> None:
        lag_us = self._lag.poll(now_us, self._runtime.state.offsets(), self._runtime.log.ends())
        self.engine.stale_us = lag_us if lag_us > MIN_LAG_US else 0
        self._metrics.gauge("stale_us", self.engine.stale_us)

    def _publish(self) -> None:
        with self._lock:
            refused = {version: reason for version, (reason, _) in self._failed.items()} | self._tripped
            self.engine.serving = Serving(
                release=self._release,
                pipelines={name: loaded.pipeline for name, loaded in self._loaded.items() if name not in self._tripped},
                contexts={name: loaded.online.contexts for name, loaded in self._loaded.items()},
                refused=refused,
                fallback=self._fallback,
                fallback_version=self._fallback_version,
                fallback_arrangement=self._fallback_arrangement,
                arrangements={name: loaded.revision for name, loaded in self._loaded.items()},
                arranged={
                    (name, revision): loaded.pipeline
                    for (name, revision), loaded in self._arranged.items()
                    if name in self._loaded and name not in self._tripped
                },
                catalog_offsets=self._catalog_offsets,
                titles=self._titles,
            )
            self._metrics.gauge("refused", len(refused))
            self._served = {name: loaded.version for name, loaded in self._loaded.items() if name not in self._tripped}


def _first_fallback(runtime: Runtime) -> Fallback:
    """What answers before anything was opened."""
    task = runtime.app.task
    return task.first_fallback({}) if isinstance(task, AnswersAtOnce) else NoFallback()


def _out_of_service(serving: Serving) -> list[str]:
    return [f"{version} is out of service: {reason}" for version, reason in serving.refused.items()]
