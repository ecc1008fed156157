"""An application's stores, opened by URL when first used.

Promises: with nothing configured everything lies under one home folder; a setting that names another URL changes
that store and nothing else; opening a `Runtime` opens no store.
"""

import errno
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flyball.app import App, AppSource, load_app
from flyball.core import BadSetting, Clock, FlyballError, NotFound, Refused, find_zone, local_path, write_atomic
from flyball.cutover import FencedDatabase, FencedLog, FencedQuarantine, WriteGate
from flyball.events import (
    DeclaredLog,
    EntityCatalog,
    ErasedPeople,
    EventLog,
    Format,
    IdentityChange,
    Inlet,
    Quarantine,
    Schema,
    SourceNames,
    TracedAppends,
    Undeclared,
    count_undeclared,
    formats_in,
    identity_changes,
    log_exists,
    open_log,
    open_quarantine,
    undeclared,
)
from flyball.features import FeatureReader
from flyball.files import FileStore, open_files
from flyball.history import History, HistoryConsumer
from flyball.home import HomeLayout
from flyball.outcomes import Location, Prediction, location_of, open_predictions, prediction_consumer
from flyball.registry import Registry, erased_digests, erased_state, share_erased
from flyball.releases import (
    Actor,
    ExposureCounter,
    KnownMetrics,
    ShadowCounter,
    arrangement_value,
    count_exposures,
    current,
    slow_limit_us,
    versions_in_service,
)
from flyball.settings import Settings, load_settings, masked
from flyball.state import View
from flyball.stores import StateStore, open_state
from flyball.tasks import About, Described, OnlineFeatures, Task, task_views
from flyball.tracing import Exported, Tracer, open_tracer

__all__ = ["FEATURES_CONSUMER", "STATE_CONSUMER", "Runtime", "check_home", "load_settings", "open_runtime"]

STATE_CONSUMER, FEATURES_CONSUMER = "state", "features"
"""The names of the consumers that responses depend on."""


_CLOSED = (
    "declared_log",
    "predictions",
    "quarantine",
    "catalog",
    "state",
    "feature_state",
    "exposure_counter",
    "shadow_counter",
    "tracer",
)
"""The stores that keep something open."""


class Runtime:
    """An application, its settings and a clock; each store is opened when first used.

    `exported_spans`: counts what became of spans of traces, from the first use of `tracer` on.

    Raises `Refused` for the home of another application.
    """

    def __init__(self, app: App, settings: Settings, clock: Clock) -> None:
        self.app, self.settings, self.clock = app, settings, clock
        self.home = settings.folder
        self.layout = HomeLayout(settings.folder)
        self.exported_spans: Exported | None = None
        self._abouts: dict[tuple[str, int], About] = {}
        self._erased_state: tuple[int, int] | None = None
        check_home(self.home, app)
        self.gate = WriteGate(self.layout)

    def _begin_home(self) -> None:
        """Make the home and write its owner, before a store is opened in it."""
        owner = self.layout.owner
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not owner.exists():
                write_atomic(owner, f"{self.app.name}\n".encode())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            must = "a folder that exists or can be made, and that may be written"
            raise BadSetting(f"home {self.home} must be {must}, got: {error.strerror}; choose another --home") from None

    @property
    def source(self) -> AppSource:
        """How another process loads the same application."""
        return AppSource(self.app.spec, dict(self.settings.app), str(Path.cwd()))

    @cached_property
    def formats(self) -> dict[str, Format]:
        """The input formats, which read times without a zone in the zone of the settings."""
        return formats_in(find_zone(self.settings.zone), self.app.formats)

    @cached_property
    def declared_log(self) -> DeclaredLog:
        """The event log. Raises `Refused` when records in it cannot be read as the events are declared now."""
        self._begin_home()
        log = FencedLog(open_log(self.settings.events), self.gate, "events")
        return DeclaredLog(log, self.app.schema, masked(self.settings.events))

    @property
    def schema(self) -> Schema:
        """The declared events, compiled to checks for this log."""
        return self.declared_log.schema

    @cached_property
    def log(self) -> EventLog:
        """The event log. Raises `Refused` as `declared_log` does, and when it ends before the history does."""
        log = self.declared_log
        history_offsets = self.history.offsets()  # read before the ends, since another process may write to both
        ends = log.ends()
        if any(offset > end for offset, end in zip_longest(history_offsets, ends, fillvalue=0)):
            raise Refused(
                f"the log {masked(self.settings.events)} must hold what the history in {self.history_files.where} took "
                f"from it, got one that ends at {ends}, not at {history_offsets}: it was deleted or replaced. Put it "
                "back; or, to continue with this one, delete what is rebuilt from the log (see the reference: the home "
                "folder)"
            )
        return log

    @cached_property
    def predictions(self) -> EventLog:
        """The prediction log. Requests in it are read as their type is declared now, where that is an event type.

        Raises `Refused` for a stream of answers to requests of another type.
        """
        self._begin_home()
        return _predictions_in(self.app, FencedLog(open_log(self.settings.predictions), self.gate, "predictions"))

    @cached_property
    def quarantine(self) -> Quarantine:
        self._begin_home()
        return FencedQuarantine(open_quarantine(self.settings.quarantine), self.gate)

    @cached_property
    def catalog(self) -> EntityCatalog:
        known_by = {entity.name: entity.known_by for entity in self.app.task.about.entities}
        return EntityCatalog(self.settings.catalog, self.schema, known_by)

    @cached_property
    def inlet(self) -> Inlet:
        """What events are ingested through."""
        appender = None if self.tracer is None else TracedAppends(self.log, self.tracer, self.clock)
        return Inlet(
            self.schema, self.log, self.quarantine, self.catalog, self.clock, appender, self.sources, self.erased
        )

    @cached_property
    def tracer(self) -> Tracer | None:
        """What traces of events and answers go to; None unless the settings name it."""
        url = self.settings.traces
        return open_tracer(url, self.app.name, self.exported_spans) if url else None

    @cached_property
    def erased(self) -> ErasedPeople:
        """Whose events must not come back."""
        return ErasedPeople(self.layout.erased)

    @property
    def shares_registry(self) -> bool:
        """Whether other machines may use the registry, since it is on a server."""
        return bool(urlsplit(self.settings.registry).netloc)

    def learn_erasures(self) -> None:
        """Know whom other machines have erased, as the registry says, and let it know whom this one has; raises its
        errors."""
        state = erased_state(self.registry)
        if state != self._erased_state:
            digests, own = erased_digests(self.registry), self.erased.own_digests
            self.erased.learn(digests)
            if any(not people.items() <= digests.get(key, {}).items() for key, people in own.items()):
                share_erased(self.registry, own)  # they were erased before machines shared this
            self._erased_state = state

    @cached_property
    def sources(self) -> SourceNames:
        """The names of where events came from."""
        return SourceNames(self.layout.sources)

    @property
    def views(self) -> list[View]:
        """The views of the log that the application's task and the versions in service read, not yet applied."""
        try:
            release = current(self.registry)
            in_service = self.views_of_versions(versions_in_service(release))
        except FlyballError:  # the registry cannot be read
            in_service = []
        views = [*self.views_of(self.app.task), *in_service]
        return list({view.spec.name: view for view in reversed(views)}.values())[::-1]

    def views_of_versions(self, names: Iterable[str | None]) -> list[View]:
        """The views that these versions read; none for a version that is not registered here or cannot be opened.

        Such a version cannot serve: loading it reports why.
        """
        views: list[View] = []
        for name in dict.fromkeys(name for name in names if name):
            with suppress(NotFound, Refused):
                declaration = self.registry.version(name).declaration
                if declaration:
                    views += self.views_of(self.task_of(declaration))
        return views

    def task_of(self, declaration: Mapping[str, Any]) -> Task:
        """See `App.task_of`; former names of types and fields are taken from this home's log."""
        return self.app.task_of(declaration, self.schema.written)

    def about_of(self, version: str, arrangement: int = 0) -> About:
        """The task as answers of a version by a revision of its arrangement are made with it; today's for "".

        Raises `NotFound` for what was never registered, `Refused` for what the application declares no more.
        """
        if not version:
            return self.app.task.about
        made = version, arrangement
        if made not in self._abouts:
            declaration = self.registry.version(version).declaration
            rule = arrangement_value(self.registry, arrangement, {})
            self._abouts[made] = self.task_of({**declaration, **rule} if declaration else {}).about
        return self._abouts[made]

    def about_of_answer(self, prediction: Prediction) -> About | None:
        """The task as the answer was made with it; None where its version cannot be opened any more."""
        try:
            return self.about_of(prediction.version, prediction.arrangement)
        except (NotFound, Refused):
            return None

    def value_names(self, prediction: Prediction) -> tuple[str, ...]:
        """What the values of an answer are called, in their order: by its version, not by today's file.

        Empty where the version cannot be opened any more.
        """
        about = self.about_of_answer(prediction) if self.app.task.about.values else None
        return () if about is None else about.values

    def views_of(self, task: Described) -> list[View]:
        """The views that a task reads, as it is declared now or was when a version was made."""
        return task_views(task, self.schema, self.log)

    @cached_property
    def state(self) -> StateStore:
        self._begin_home()
        return open_state(self.settings.state)

    @cached_property
    def feature_state(self) -> StateStore:
        """The store of the declared features."""
        self._begin_home()
        return open_state(self.settings.features)

    @cached_property
    def features(self) -> OnlineFeatures | None:
        """The online features that versions read; None when none are declared."""
        groups = self.app.task.about.feature_groups
        return OnlineFeatures(FeatureReader(groups, self.feature_state)) if groups else None

    @cached_property
    def history_files(self) -> FileStore:
        """Where the history is."""
        return open_files("history", self.settings.history, self.layout.cache)

    @property
    def history_folder(self) -> Path:
        """The folder of the history on this machine: all of it, or copies of an object store's."""
        return self.history_files.folder

    @cached_property
    def history_consumer(self) -> HistoryConsumer:
        return HistoryConsumer(
            self.schema, self.history_files, partitions=len(self.log.ends()), schemas=self.log.schemas
        )

    @cached_property
    def prediction_history_files(self) -> FileStore:
        """Where the predictions are as Parquet."""
        return open_files("history", self.settings.history, self.layout.cache, "predictions")

    @cached_property
    def prediction_history_consumer(self) -> HistoryConsumer:
        return prediction_consumer(self.prediction_history_files, len(self.predictions.ends()))

    @cached_property
    def history(self) -> History:
        return History(self.history_files, self.schema)

    @cached_property
    def registry(self) -> Registry:
        self._begin_home()
        registry = Registry(self.settings.registry)
        registry.database = FencedDatabase(registry.database, self.gate)
        return registry

    @cached_property
    def artifact_files(self) -> FileStore:
        """Where artifacts are."""
        return open_files("artifacts", self.settings.artifacts, self.layout.cache)

    @property
    def artifacts(self) -> Path:
        """The folder of artifacts on this machine: all of them, or copies of an object store's."""
        return self.artifact_files.folder

    @property
    def apply_delays_path(self) -> Path:
        """The file of measured delays: how long consumers took to apply events after they were known."""
        return local_path("apply delays", self.settings.apply_delays)

    @property
    def outcomes_path(self) -> Location:
        """Where the outcomes lie: a file, or a URL."""
        return location_of(self.settings.outcomes, "outcomes")

    def intervals_path(self, level: float) -> Location:
        """Where the coverage lies that outcomes have shown for prediction intervals of `level`."""
        return location_of(self.settings.outcomes, f"intervals_{level:g}")

    @cached_property
    def exposure_counter(self) -> ExposureCounter:
        """Counts the exposures of each release and version, as far as the worker of this machine has read them."""
        return ExposureCounter(self.exposures_path)

    def exposures_now(self) -> ExposureCounter:
        """The counts of all predictions in the log by now, also on a machine whose worker counts none."""
        count_exposures(self.exposure_counter, self.predictions)
        return self.exposure_counter

    @property
    def exposures_path(self) -> Path:
        """The file of the counts of exposures."""
        return self._beside_outcomes("exposures.db")

    @cached_property
    def shadow_counter(self) -> ShadowCounter:
        """What the answers of shadows came to."""
        return ShadowCounter(self.shadows_path)

    @property
    def shadows_path(self) -> Path:
        """The file of what the answers of shadows came to."""
        return self._beside_outcomes("shadows.db")

    def _beside_outcomes(self, name: str) -> Path:
        """A file beside that of the outcomes; in the home where these lie in a database."""
        outcomes = self.outcomes_path
        return outcomes.with_name(name) if isinstance(outcomes, Path) else self.home / name

    def actor(self, by: str, reason: str, now_us: int | None = None) -> Actor:
        """The actor that changes releases; it releases only versions that fit the application as declared now."""
        at_us = self.clock.now_us() if now_us is None else now_us
        return Actor(by, at_us, reason, self.artifact_files, self.app.task.about, self.task_of)

    def release_constants(self, champion: str | None, now_us: int) -> dict[str, float]:
        """Values that are fixed when a release starts, beside its plan; where no worker counts on this machine, after
        `exposures_now`."""
        if champion is None:
            return {}
        deadline_us = self.app.task.about.deadline_us
        return {"slow_us": slow_limit_us(self.exposure_counter, champion, deadline_us, now_us)}

    @property
    def known_metrics(self) -> KnownMetrics:
        """What the controller last measured of each release."""
        return KnownMetrics(self.layout.run / "release_metrics")

    def close(self) -> None:
        """Close the stores that were opened; the next use opens them again."""
        cached = [name for name, own in vars(type(self)).items() if isinstance(own, cached_property)]
        opened = {name: self.__dict__.pop(name, None) for name in cached if name != "registry"}
        database = self.registry.database if "registry" in self.__dict__ else None  # it may write by a lease
        for store in (*(opened[name] for name in _CLOSED), database):
            if store is not None:  # such as the tracer where nothing is traced
                store.close()

    @property
    def worker_report_path(self) -> Path:
        """The file in which the log worker reports the positions of its consumers."""
        return self.layout.run / "worker.json"

    @property
    def counters_folder(self) -> Path:
        return self.layout.counters


def check_stored(app: App, settings: Settings) -> None:
    """Raise `Refused` when stored events, or requests that were answered, cannot be read as the application declares
    them now; creates no log."""
    if log_exists(settings.events):
        DeclaredLog(open_log(settings.events), app.schema, masked(settings.events)).close()
    if log_exists(settings.predictions):
        _predictions_in(app, open_log(settings.predictions))


def _predictions_in(app: App, log: EventLog) -> EventLog:
    request = app.task.about.request
    declared = app.schema.types.get(request.__name__.lower())
    own = declared if declared is not None and declared.cls is request else None
    return open_predictions(log, request, own)


def undeclared_in(app: App, settings: Settings, counted: bool = True) -> list[Undeclared]:
    """Event types and fields in the log that the application no longer declares; `counted`: with their numbers of
    events.

    Creates no log. Counting reads every block of the log that may contain one.
    """
    if not log_exists(settings.events):
        return []
    log = open_log(settings.events)
    if counted:
        return count_undeclared(log, app.schema)
    return undeclared(app.schema.after(log.schemas.stored()))


def identity_changes_in(app: App, settings: Settings) -> list[IdentityChange]:
    """The types of the log's events whose natural key the application changed. Creates no log."""
    if not log_exists(settings.events):
        return []
    return identity_changes(app.schema.after(open_log(settings.events).schemas.stored()))


def check_home(home: Path, app: App) -> None:
    """Raise `Refused` when another application owns this home, `BadSetting` when it is no folder."""
    if home.exists() and not home.is_dir():
        raise BadSetting(f"home {home} must be a folder, got a file; choose another --home")
    owner = HomeLayout(home).owner
    owner_name = owner.read_text().strip() if owner.exists() else app.name
    if owner_name != app.name:
        raise Refused(
            f"home {home} must be of {app.name}, got one that {owner_name} began: choose another --home (or, if the "
            f"application got another name, write it into {owner})"
        )


def open_runtime(source: AppSource, settings: Settings, clock: Clock) -> Runtime:
    """A runtime in a child process, from the values that its parent passed."""
    return Runtime(load_app(source.spec, source.options, Path(source.folder)), settings, clock)
