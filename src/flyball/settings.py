"""Settings of an application: the URLs of its stores and its options.

Promises: with nothing configured everything lies under one home folder; a setting that names another URL changes
that store and nothing else; an unknown setting is an error that names its source.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from flyball.core import BadInput, BadSetting, find_zone, parse_duration, requirement
from flyball.home import HomeLayout

__all__ = ["STORES", "Settings", "Sourced", "load_settings", "masked", "masked_sink", "read_settings", "shown_settings"]

STORES = (
    "events",
    "predictions",
    "quarantine",
    "catalog",
    "state",
    "features",
    "registry",
    "outcomes",
    "history",
    "artifacts",
    "apply_delays",
)
"""The settings that are URLs, one for each kind of store."""

_PREFIX = "FLYBALL_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an application; a store without a URL is the one in the home.

    `app`: arguments of its `make_app`. `zone`: the zone of times in lines that name none; unless it is UTC it overrides
    the application's. `keep_runs`: the number of runs whose artifacts are kept for versions that never served;
    `keep_answers`: how long the artifact of a version that served is kept after its last answer. `manage`: whether
    releases may be changed over HTTP. `sinks`: the URLs of what gets notifications of incidents. A
    running `up` passes them to the children it starts, also after an update, so new fields have defaults.
    """

    home: str
    events: str
    predictions: str
    state: str
    registry: str
    features: str = ""
    quarantine: str = ""
    catalog: str = ""
    outcomes: str = ""
    history: str = ""
    artifacts: str = ""
    apply_delays: str = ""
    zone: str = "UTC"
    host: str = "127.0.0.1"
    port: int = 8082
    workers: int = 2
    keep_runs: int = 5
    keep_answers: str = "90d"
    manage: bool = False
    sinks: tuple[str, ...] = ()
    app: dict[str, Any] = {}

    def __post_init__(self) -> None:
        layout = HomeLayout(Path(self.home))
        for name in STORES:
            if not getattr(self, name):
                msgspec.structs.force_setattr(self, name, getattr(layout, name))

    @property
    def folder(self) -> Path:
        return Path(self.home)


class Sourced(msgspec.Struct, frozen=True):
    """The settings, and the source of each by name: "option", "FLYBALL_PORT", a file, "default"."""

    settings: Settings
    sources: dict[str, str]


_NAMES = tuple(field.name for field in msgspec.structs.fields(Settings))


def load_settings(
    home: Path,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings of the application at `home`: options override the environment, which overrides the file and the
    defaults.

    `file`: TOML with the fields of `Settings`; by default `home/settings.toml` when it exists. Environment names are
    `FLYBALL_EVENTS` and so on. Raises `BadSetting` naming the source of a bad one.
    """
    return read_settings(home, file, environment, options).settings


def read_settings(
    home: Path,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Sourced:
    """As `load_settings`, with the source of each value."""
    layout = HomeLayout(home.absolute())
    values: dict[str, Any] = {
        "home": str(layout.folder),
        "sinks": (),
        **{name: getattr(layout, name) for name in STORES},
    }
    sources = dict.fromkeys(_NAMES, "default")
    path = file or (layout.settings if layout.settings.exists() else None)
    layers = [(_from_file(path), str(path))] if path is not None else []
    layers.append((_from_environment(environment or {}), ""))
    layers.append(({name: value for name, value in (options or {}).items() if value is not None}, "option"))
    for layer, source in layers:
        values |= layer
        sources |= {name: source or f"{_PREFIX}{name.upper()}" for name in layer}
    settings = _converted(values, sources)
    _check(settings, sources)
    return Sourced(settings, sources)


def masked(url: str) -> str:
    """A URL that may be shown: the password in it, and options that hold secrets, are replaced by ***.

    >>> masked("redis://ann:s3cret@cache:6379/0?name=shop")
    'redis://ann:***@cache:6379/0?name=shop'
    """
    parts = urlsplit(url)
    if not parts.scheme or "://" not in url:
        return url
    name, at, host = parts.netloc.rpartition("@")
    if at and ":" in name:
        name = f"{name.partition(':')[0]}:***"
    query = "&".join(_masked_option(option) for option in parts.query.split("&")) if parts.query else ""
    if not parts.netloc and not query:
        return url  # urlunsplit would write sqlite:/path
    return f"{parts.scheme}://{name}{at}{host}{parts.path}" + (f"?{query}" if query else "")


def masked_sink(url: str) -> str:
    """The URL of a sink that may be shown: as `masked`, and without the path, in which webhooks have their secret.

    >>> masked_sink("slack+https://hooks.slack.com/services/T1/B2/s3cret?severity=high")
    'slack+https://hooks.slack.com/***?severity=high'
    """
    shown = masked(url)
    parts = urlsplit(shown) if "://" in shown else None
    if parts is None:
        return "***"
    path = "/***" if parts.path.strip("/") else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{query}"


def shown_settings(settings: Settings) -> dict[str, Any]:
    """{name: value} of all settings but those of the application itself, with secrets masked."""
    values = {name: getattr(settings, name) for name in _NAMES if name != "app"}
    values |= {name: masked(values[name]) for name in STORES}
    return values | {"sinks": [masked_sink(url) for url in settings.sinks]}


def _masked_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    is_secret = any(word in name.lower() for word in ("password", "secret", "token", "key"))
    return f"{name}=***" if equals and is_secret else option


def _from_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise BadSetting(f"settings file must exist, got {path}: write it, or name another") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"settings file {path} must be TOML: {error}") from None
    for name in values:
        if name not in _NAMES or name == "home":
            known = ", ".join(sorted(set(_NAMES) - {"home"}))
            raise BadSetting(f"setting in {path} must be one of {known}, got {name!r}")
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX):
            continue
        name = variable.removeprefix(_PREFIX).lower()
        if variable != f"{_PREFIX}{name.upper()}" or name not in _NAMES or name == "app":
            known = ", ".join(f"{_PREFIX}{setting.upper()}" for setting in sorted(_NAMES) if setting != "app")
            raise BadSetting(f"environment variable must be one of {known}, got {variable}: correct it or unset it")
        if name != "home":  # read by the command line, which chooses the home
            values[name] = text
    return values


def _converted(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    if isinstance(values["sinks"], str):
        values = {**values, "sinks": values["sinks"].split()}
    for name, value in values.items():
        try:
            msgspec.convert(value, types[name], strict=False)
        except msgspec.ValidationError as error:
            got = "something else" if name == "sinks" else repr(value)  # its URLs may hold secrets
            raise BadSetting(f"{_named(name, sources)} must be {requirement(str(error))}, got {got}") from None
    return msgspec.convert(values, Settings, strict=False)


def _check(settings: Settings, sources: Mapping[str, str]) -> None:
    for name, low, high in (("workers", 1, 1_000), ("port", 0, 65_535), ("keep_runs", 1, 1_000_000)):
        value = getattr(settings, name)
        if not low <= value <= high:
            raise BadSetting(f"{_named(name, sources)} must be from {low} to {high}, got {value}")
    for name in ("zone", "keep_answers"):
        try:
            _READERS[name](getattr(settings, name))
        except BadInput as error:
            raise BadSetting(f"{_named(name, sources)}: {error}") from None
    if not settings.host:
        raise BadSetting(f"{_named('host', sources)} must be an address of this machine, such as 127.0.0.1, got ''")


_READERS: dict[str, Any] = {"zone": find_zone, "keep_answers": parse_duration}


def _named(name: str, sources: Mapping[str, str]) -> str:
    source = sources[name]
    return f"setting {name}" + ("" if source == "default" else f" ({source})")
