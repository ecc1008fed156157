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

from flyball.app import App, AppSource, load_app
from flyball.core import BadSetting, Clock, FlyballError, NotFound, Refused, find_zone, local_path, write_atomic
from flyball.events import (
    DeclaredLog,
    EntityCatalog,
    EventLog,
    Format,
    IdentityChange,
    Inlet,
    Quarantine,
    Schema,
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
from flyball.history import History, HistoryConsumer
from flyball.home import HomeLayout
from flyball.outcomes import Prediction, open_predictions, prediction_consumer
from flyball.registry import Registry
from flyball.releases import (
    Actor,
    ExposureCounter,
    KnownMetrics,
    ShadowCounter,
    arrangement_value,
    current,
    slow_limit_us,
    versions_in_service,
)
from flyball.settings import Settings, load_settings
from flyball.state import View
from flyball.stores import StateStore, open_state
from flyball.tasks import About, Described, OnlineFeatures, Task, task_views

__all__ = ["FEATURES_CONSUMER", "STATE_CONSUMER", "Runtime", "check_home", "load_settings", "open_runtime"]

STATE_CONSUMER, FEATURES_CONSUMER = "state", "features"
"""The names of the consumers that responses depend on."""


class Runtime:
    """An application, its settings and a clock; each store is opened when first used.

    Raises `Refused` for the home of another application.
    """

    def __init__(self, app: App, settings: Settings, clock: Clock) -> None:
        self.app, self.settings, self.clock = app, settings, clock
        self.home = settings.folder
        self.layout = HomeLayout(settings.folder)
        self._abouts: dict[tuple[str, int], About] = {}
        check_home(self.home, app)

    def _begin_home(self) -> None:
        """Make the home and write its owner, before a store is opened in it."""
        owner = self.layout.owner
        try:
            self.home.mkdir(parents=True, exist_ok=True)
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
        return DeclaredLog(open_log(self.settings.events), self.app.schema, self.settings.events)

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
                f"the log {self.settings.events} must hold what the history in {self.history_folder} took from it, "
                f"got one that ends at {ends}, not at {history_offsets}: it was deleted or replaced. Put it back; or, "
                "to continue with this one, delete what is rebuilt from the log (see the reference: the home folder)"
            )
        return log

    @cached_property
    def predictions(self) -> EventLog:
        """The prediction log. Requests in it are read as their type is declared now, where that is an event type.

        Raises `Refused` for a stream of answers to requests of another type.
        """
        self._begin_home()
        return _open_predictions(self.app, self.settings)

    @cached_property
    def quarantine(self) -> Quarantine:
        self._begin_home()
        return open_quarantine(self.settings.quarantine)

    @cached_property
    def catalog(self) -> EntityCatalog:
        known_by = {entity.name: entity.known_by for entity in self.app.task.about.entities}
        return EntityCatalog(self.settings.catalog, self.schema, known_by)

    @cached_property
    def inlet(self) -> Inlet:
        """What events are ingested through."""
        return Inlet(self.schema, self.log, self.quarantine, self.catalog, self.clock)

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

    @property
    def history_folder(self) -> Path:
        return local_path("history", self.settings.history)

    @cached_property
    def history_consumer(self) -> HistoryConsumer:
        return HistoryConsumer(
            self.schema, self.history_folder, partitions=len(self.log.ends()), schemas=self.log.schemas
        )

    @property
    def prediction_history_folder(self) -> Path:
        """The folder of the predictions as Parquet."""
        return self.history_folder / "predictions"

    @cached_property
    def prediction_history_consumer(self) -> HistoryConsumer:
        return prediction_consumer(self.prediction_history_folder, len(self.predictions.ends()))

    @cached_property
    def history(self) -> History:
        return History(self.history_folder, self.schema)

    @cached_property
    def registry(self) -> Registry:
        self._begin_home()
        return Registry(self.settings.registry)

    @property
    def artifacts(self) -> Path:
        return local_path("artifacts", self.settings.artifacts)

    @property
    def apply_delays_path(self) -> Path:
        """The file of measured delays: how long consumers took to apply events after they were known."""
        return local_path("apply delays", self.settings.apply_delays)

    @property
    def outcomes_path(self) -> Path:
        return local_path("outcomes", self.settings.outcomes, "sqlite")

    def intervals_path(self, level: float) -> Path:
        """The file of the coverage that outcomes have shown for prediction intervals of `level`."""
        return self.outcomes_path.with_name(f"intervals_{level:g}.db")

    @cached_property
    def exposure_counter(self) -> ExposureCounter:
        """Counts the exposures of each release and version."""
        return ExposureCounter(self.outcomes_path.with_name("exposures.db"))

    @cached_property
    def shadow_counter(self) -> ShadowCounter:
        """What the answers of shadows came to."""
        return ShadowCounter(self.outcomes_path.with_name("shadows.db"))

    def actor(self, by: str, reason: str, now_us: int | None = None) -> Actor:
        """The actor that changes releases; it releases only versions that fit the application as declared now."""
        at_us = self.clock.now_us() if now_us is None else now_us
        return Actor(by, at_us, reason, self.artifacts, self.app.task.about, self.task_of)

    def release_constants(self, champion: str | None, now_us: int) -> dict[str, float]:
        """Values that are fixed when a release starts, beside its plan."""
        if champion is None:
            return {}
        deadline_us = self.app.task.about.deadline_us
        return {"slow_us": slow_limit_us(self.exposure_counter, champion, deadline_us, now_us)}

    @property
    def known_metrics(self) -> KnownMetrics:
        """What the controller last measured of each release."""
        return KnownMetrics(self.layout.run / "release_metrics")

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
        DeclaredLog(open_log(settings.events), app.schema, settings.events).close()
    if log_exists(settings.predictions):
        _open_predictions(app, settings)


def _open_predictions(app: App, settings: Settings) -> EventLog:
    request = app.task.about.request
    declared = app.schema.types.get(request.__name__.lower())
    own = declared if declared is not None and declared.cls is request else None
    return open_predictions(open_log(settings.predictions), request, own)


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
