"""An application's stores, opened by URL when first used.

Promises: with nothing configured everything lies under one home folder; a setting that names another URL changes
that store and nothing else; opening a `Runtime` opens no store.
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, tzinfo
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from flyball.app import App, AppSource, load_app
from flyball.core import BadInput, BadSetting, Clock, NotFound, Refused, parse_duration, write_atomic
from flyball.events import Catalogue, EventLog, Format, Quarantine, formats_in, open_log
from flyball.features import FeatureReader
from flyball.history import History, HistoryConsumer
from flyball.registry import Registry
from flyball.state import View
from flyball.stores import StateStore, open_state
from flyball.tasks import OnlineFeatures, Signals, views_of

_URLS = ("events", "predictions", "state", "features", "registry")

OWNER = "application"
"""The file of a home that names the application that began it."""

STATE_FEED, FEATURES_FEED = "state", "features"
"""The names of the consumers that users wait for."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where an application lives and with which options. `app` goes to its `make_app`. `zone`: of times in lines that
    name none; unless it is UTC it comes before what the application says. `keep_runs`: of how many runs the artifacts
    of versions that never served are kept; `keep_answers`: how long after its last answer those of one that did.

    A running `up` hands them to the children it starts, also after an update: new fields have defaults.
    """

    home: str
    events: str
    predictions: str
    state: str
    registry: str
    features: str = ""
    zone: str = "UTC"
    port: int = 8082
    workers: int = 2
    keep_runs: int = 5
    keep_answers: str = "90d"
    app: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        return Path(self.home)


def load_settings(
    home: Path,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings of the application at `home`: options before environment before file before the embedded defaults.

    `file`: TOML with the fields of `Settings`; by default `home/settings.toml` when it exists. Environment names are
    `FLYBALL_EVENTS` and so on. Raises `BadSetting` naming the source of a bad one.
    """
    base = home.absolute()
    values: dict[str, Any] = {
        "home": str(base),
        "events": f"sqlite://{base}/events.db?partitions=4",
        "predictions": f"sqlite://{base}/predictions.db?partitions=1&unique=0",
        "state": f"lmdb://{base}/state",
        "features": _features_of(base),
        "registry": f"sqlite://{base}/registry.db",
    }
    chosen = file or (base / "settings.toml" if (base / "settings.toml").exists() else None)
    if chosen is not None:
        values |= _known(_read_toml(chosen), str(chosen))
    prefix = "FLYBALL_"
    named = {name[len(prefix) :].lower(): text for name, text in (environment or {}).items() if name.startswith(prefix)}
    values |= {
        name: text
        for name, text in named.items()
        if name in (*_URLS, "zone", "port", "workers", "keep_runs", "keep_answers")
    }
    values |= {name: value for name, value in (options or {}).items() if value is not None}
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSetting(f"settings of {base} must fit: {error}") from None
    zone_of(settings.zone)
    if settings.keep_runs < 1:
        raise BadSetting(f"keep_runs must be 1 or more, got {settings.keep_runs}")
    try:
        parse_duration(settings.keep_answers)
    except BadInput as error:
        raise BadSetting(f"keep_answers must be a duration such as 90d: {error}") from None
    return settings


def _features_of(home: Path) -> str:
    return f"lmdb://{home}/features"


def zone_of(name: str) -> tzinfo:
    """The zone of a name such as Europe/Berlin, with its summer times; raises `BadSetting` for an unknown one."""
    if name == "UTC":
        return UTC  # known also where the system has no table of zones
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # not a path, a folder of zones, none of that name
        raise BadSetting(f"zone must be one the system knows, such as UTC or Europe/Berlin, got {name!r}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise BadSetting(f"settings file must exist, got {path}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"settings file {path} must be TOML: {error}") from None


def _known(values: dict[str, Any], where: str) -> dict[str, Any]:
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for name in values:
        if name not in known:
            raise BadSetting(f"setting in {where} must be one of {', '.join(sorted(known))}, got {name!r}")
    return values


class Runtime:
    """An application, its settings and a clock; every store opens when first asked for.

    Raises `Refused` for the home of another application.
    """

    def __init__(self, app: App, settings: Settings, clock: Clock) -> None:
        self.app, self.settings, self.clock = app, settings, clock
        self.home = settings.folder
        self.schema = app.schema
        check_home(self.home, app)

    def _begin_home(self) -> None:
        """The home and whose it is; a store is about to be opened in it."""
        self.home.mkdir(parents=True, exist_ok=True)
        owner = self.home / OWNER
        if not owner.exists():
            write_atomic(owner, f"{self.app.name}\n".encode())

    @property
    def source(self) -> AppSource:
        """How another process loads the same application."""
        return AppSource(self.app.spec, dict(self.settings.app), str(Path.cwd()))

    @cached_property
    def formats(self) -> dict[str, Format]:
        """The formats lines may come in, reading times that name no zone in the one of the settings."""
        return formats_in(zone_of(self.settings.zone), self.app.formats)

    @cached_property
    def log(self) -> EventLog:
        """Raises `Refused` for a log that ends before what the history took from it."""
        self._begin_home()
        log = open_log(self.settings.events)
        taken = self.history.offsets()  # before the ends: another process may append, and write to the history, between
        ends = log.ends()
        if any(offset > end for offset, end in zip_longest(taken, ends, fillvalue=0)):
            raise Refused(
                f"the log {self.settings.events} must hold what the history in {self.history_folder} took from it, "
                f"got one that ends at {ends}, not at {taken}: it was deleted or replaced. Put it back; or, to go on "
                "with this one, delete what is made again from the log (see the reference: the home folder)"
            )
        return log

    @cached_property
    def predictions(self) -> EventLog:
        self._begin_home()
        return open_log(self.settings.predictions)

    @cached_property
    def quarantine(self) -> Quarantine:
        self._begin_home()
        return Quarantine(self.home / "quarantine.db")

    @cached_property
    def catalogue(self) -> Catalogue:
        known_by = {entity.name: entity.known_by for entity in self.app.task.about.entities}
        return Catalogue(self.home / "catalogue.db", self.schema, known_by)

    @cached_property
    def signals(self) -> Signals:
        return self.app.task.signals(self.schema)

    @property
    def views(self) -> list[View]:
        """The views of the log that the application's task reads, not yet folded."""
        return views_of(self.schema, self.signals, self.app.task.about.entities)

    @cached_property
    def state(self) -> StateStore:
        self._begin_home()
        return open_state(self.settings.state)

    @cached_property
    def feature_state(self) -> StateStore:
        """The store of the declared features."""
        self._begin_home()
        return open_state(self.settings.features or _features_of(self.home))

    @cached_property
    def features(self) -> OnlineFeatures | None:
        """What versions read features from; None when none are declared."""
        groups = self.app.task.about.feature_groups
        return OnlineFeatures(FeatureReader(groups, self.feature_state)) if groups else None

    @property
    def history_folder(self) -> Path:
        return self.home / "history"

    @cached_property
    def history_consumer(self) -> HistoryConsumer:
        return HistoryConsumer(self.schema, self.history_folder, partitions=len(self.log.ends()))

    @cached_property
    def history(self) -> History:
        return History(self.history_folder, self.schema)

    @cached_property
    def registry(self) -> Registry:
        self._begin_home()
        return Registry(self.settings.registry)

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def apply_delays_path(self) -> Path:
        """How long the consumers of the log took, as measured."""
        return self.home / "apply_delays.json"

    @property
    def outcomes_path(self) -> Path:
        return self.home / "outcomes.db"

    @property
    def counters_folder(self) -> Path:
        return self.home / "run" / "counters"


def check_home(home: Path, app: App) -> None:
    """Raises `Refused` when another application began this home."""
    owner = home / OWNER
    began = owner.read_text().strip() if owner.exists() else app.name
    if began != app.name:
        raise Refused(
            f"home {home} must be of {app.name}, got one that {began} began: choose another --home (or, if the "
            f"application got another name, write it into {owner})"
        )


def default_home(spec: str) -> Path:
    """Where an application lives unless told otherwise: `.flyball/` and its short name."""
    name = spec.rsplit(":", 1)[0].rsplit(".", 1)[-1] if ":" in spec else Path(spec).stem
    return Path(".flyball") / name


def open(spec: str, home: str | Path | None = None) -> History:
    """The history of an application, read only, for notebooks: `fb.open("shop.py").events("buy")` is a polars frame.

    It reaches as far as the log worker, or the last `learn` or `export`, has written it: `.offsets()` tells. Raises
    `NotFound` without an application or a home, `Refused` for the home of another.
    """
    folder = Path(home) if home is not None else default_home(spec)
    if not folder.is_dir():
        raise NotFound("home", str(folder))
    settings = load_settings(folder)
    app = load_app(spec, settings.app)
    check_home(settings.folder, app)
    return History(settings.folder / "history", app.schema)


def open_runtime(source: AppSource, settings: Settings, clock: Clock) -> Runtime:
    """A runtime in a fresh process from what the parent handed over."""
    return Runtime(load_app(source.spec, source.options, Path(source.folder)), settings, clock)
