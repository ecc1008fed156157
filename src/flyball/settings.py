"""Settings of an application: the URLs of its stores and its options.

Promises: with nothing configured everything lies under one home folder; a setting that names another URL changes
that store and nothing else; an unknown setting is an error that names its source.
"""

import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import (
    BadInput,
    BadSetting,
    check_origin,
    find_zone,
    holds_secret,
    is_secret_name,
    masked,
    masked_sink,
    parse_duration,
    requirement,
)
from flyball.home import HomeLayout
from flyball.limits import parse_rate

__all__ = [
    "ACCESS_MODES",
    "AUTO",
    "LIMITS",
    "PROCESSES",
    "SETTING_NAMES",
    "STORES",
    "Settings",
    "Sourced",
    "load_settings",
    "masked",
    "masked_sink",
    "read_settings",
    "secret_settings",
    "shown_own_settings",
    "shown_settings",
]

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

PROCESSES = ("serving", "worker", "governor")
"""The parts of a running application: what answers, what follows the log, and what learns, releases and watches."""

LOG_FORMATS = ("text", "json")

ACCESS_MODES = ("auto", "keys", "loopback-open", "without-keys")
"""Who needs a key over HTTP: `auto`, all where a key was ever made, and where `host` is not this machine alone; `keys`,
all; `loopback-open`, all but those on this machine; `without-keys`, nobody."""

AUTO = "auto"
LIMITS = {"limit_answers": "1000/s, burst 2000", "limit_events": "5000/s, burst 20000"}
"""{setting: the rate that `auto` stands for, where `host` is not this machine alone}"""

_PREFIX, _FILE = "FLYBALL_", "_file"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an application; a store without a URL is the one in the home.

    `access`: who needs a key, see `ACCESS_MODES`; `identity_header`: the header by which the proxies in
    `trusted_proxies` (addresses or networks) say who sends a request, "" for none, and `identity_roles` what that user
    may do; `origins`: the web pages that may call the service from browsers. `app`: arguments of its `make_app`.
    `zone`: the zone of times in lines that name none; unless it is UTC it overrides the application's. `keep_runs`: the
    number of runs whose artifacts are kept for versions that never served; `keep_answers`: how long the artifact of a
    version that served is kept after its last answer. `manage`: whether
    releases may be changed over HTTP. `sinks`: the URLs of what gets notifications of incidents; `traces`: that of what
    gets traces, "" for none. `processes`: which parts of the application this machine runs, see `PROCESSES`; `drain`:
    how long it answers on after SIGTERM while it says that it is not ready; `lease`: after how long without a sign of
    life another machine takes over from a worker or governor. `log_format`: of the lines that `up` and
    its processes write, "text" or "json" (an object a line, for what collects logs). `limit_answers`, `limit_events`:
    the rate at which a key or an address may ask for answers and send events, see `LIMITS`; `connections`,
    `connections_per_address`: the most open connections. `compute`: the URL of where
    learning and other long work runs. A running `up` passes them to the children it starts, also after an update, so
    new fields have defaults.
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
    compute: str = "processes://"
    keep_runs: int = 5
    keep_answers: str = "90d"
    manage: bool = False
    sinks: tuple[str, ...] = ()
    processes: tuple[str, ...] = PROCESSES
    drain: str = "0s"
    log_format: str = "text"
    traces: str = ""
    lease: str = "10s"
    limit_answers: str = AUTO
    limit_events: str = AUTO
    connections: int = 10_000
    connections_per_address: int = 1_000
    access: str = "auto"
    identity_header: str = ""
    identity_roles: tuple[str, ...] = ("read",)
    trusted_proxies: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    app: dict[str, Any] = {}

    def __post_init__(self) -> None:
        layout = HomeLayout(Path(self.home))
        for name in STORES:
            if not getattr(self, name):
                msgspec.structs.force_setattr(self, name, getattr(layout, name))

    def __repr__(self) -> str:
        return f"Settings({shown_settings(self)})"

    @property
    def folder(self) -> Path:
        return Path(self.home)


class Sourced(msgspec.Struct, frozen=True):
    """The settings, and the source of each by name: "option", "FLYBALL_PORT", "FLYBALL_EVENTS_FILE", a file, "default".

    Those of the application itself are called "app.stars" and so on.
    """

    settings: Settings
    sources: dict[str, str]


SETTING_NAMES = tuple(field.name for field in msgspec.structs.fields(Settings))
"""Every setting: a name in `settings.toml`, after `FLYBALL_` in capitals, and as an option of every command."""


def load_settings(
    home: Path,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings of the application at `home`: options override the environment, which overrides the file and the
    defaults.

    `file`: TOML with the fields of `Settings`; by default `home/settings.toml` when it exists. Environment names are
    `FLYBALL_EVENTS` and so on, or `FLYBALL_EVENTS_FILE`, which names a file whose text is the value. Raises
    `BadSetting` naming the source of a bad one.
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
    sources = dict.fromkeys(SETTING_NAMES, "default")
    path = file or (layout.settings if layout.settings.exists() else None)
    layers = [_from_file(path)] if path is not None else []
    layers.append(_from_environment(environment or {}))
    layers.append({name: (value, "option") for name, value in (options or {}).items() if value is not None})
    for layer in layers:
        for name, (value, source) in layer.items():
            if name == "app" and isinstance(value, dict):
                sources |= {f"app.{own}": source for own in value}
                value = {**values.get("app", {}), **value}
            values[name], sources[name] = value, source
    settings = _converted(values, sources)
    _check(settings, sources)
    return Sourced(settings, sources)


def shown_settings(settings: Settings) -> dict[str, Any]:
    """{name: value} of all settings but those of the application itself, with secrets masked."""
    values = {name: getattr(settings, name) for name in SETTING_NAMES if name != "app"}
    values |= {name: masked(values[name]) for name in (*STORES, "compute", "traces")}
    return values | {"sinks": [masked_sink(url) for url in settings.sinks]}


def secret_settings(values: Mapping[str, Any]) -> list[str]:
    """The names of the settings among `values` whose URLs hold secrets."""
    sinks = values.get("sinks") or ()
    urls = sinks.split() if isinstance(sinks, str) else sinks
    names = (*STORES, "compute", "traces")
    stores = [name for name in names if isinstance(values.get(name), str) and holds_secret(values[name])]
    is_secret = any(isinstance(url, str) and holds_secret(url, path_is_secret=True) for url in urls)
    return stores + (["sinks"] if is_secret else [])


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise BadSetting(f"settings file must exist, got {path}: write it, or name another") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"settings file {path} must be TOML: {error}") from None
    for name in values:
        if name not in SETTING_NAMES or name == "home":
            known = ", ".join(sorted(set(SETTING_NAMES) - {"home"}))
            raise BadSetting(f"setting in {path} must be one of {known}, got {name!r}")
    secrets = secret_settings(values)
    if secrets and path.stat().st_mode & 0o077:
        raise BadSetting(
            f"{path} must be readable by its owner alone, as {secrets[0]} holds a secret, got mode "
            f"{path.stat().st_mode & 0o777:o}: chmod 600 {path}, or put the secret elsewhere"
        )
    return {name: (value, str(path)) for name, value in values.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    values: dict[str, tuple[Any, str]] = {}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX):
            continue
        name = variable.removeprefix(_PREFIX).lower()
        is_file = name not in SETTING_NAMES and name != f"home{_FILE}"
        name = name.removesuffix(_FILE) if is_file else name
        if variable not in (f"{_PREFIX}{name.upper()}", f"{_PREFIX}{name.upper()}_FILE") or name not in SETTING_NAMES:
            known = ", ".join(f"{_PREFIX}{setting.upper()}" for setting in sorted(SETTING_NAMES))
            raise BadSetting(
                f"environment variable must be one of {known}, each but the home's also with _FILE for a file with the "
                f"value, got {variable}: correct it or unset it"
            )
        if name in values:
            raise BadSetting(f"setting {name} must come from one variable, got {variable} and {values[name][1]}")
        if name != "home":  # read by the command line, which chooses the home
            values[name] = (_text_of(variable, text) if is_file else text, variable)
    if "app" in values:
        values["app"] = (_object_of(*values["app"]), values["app"][1])
    return values


def _text_of(variable: str, path: str) -> str:
    try:
        text = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{variable} must name a file that holds the setting, got {path}: {error}") from None
    if not text:
        raise BadSetting(f"{variable} must name a file that holds the setting, got {path}, which is empty")
    return text


def _object_of(text: str, variable: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text.encode(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadSetting(
            f'{variable} must be a JSON object of the application\'s settings, such as {{"stars": 10}}, got one with '
            f"this fault: {error}"
        ) from None


def _converted(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    if isinstance(values["sinks"], str):
        values = {**values, "sinks": values["sinks"].split()}
    for name in _LISTS:
        if isinstance(values.get(name), str):
            values = {**values, name: [part.strip() for part in values[name].split(",") if part.strip()]}
    for name, value in values.items():
        try:
            msgspec.convert(value, types[name], strict=False)
        except msgspec.ValidationError as error:
            if name == "sinks":  # its URLs may hold secrets
                must, got = 'a list of URLs, such as ["log://"]', _kinds_in(value)
                raise BadSetting(f"{_named(name, sources)} must be {must}, got {got}") from None
            shown = masked(value) if isinstance(value, str) else value
            raise BadSetting(f"{_named(name, sources)} must be {requirement(str(error))}, got {shown!r}") from None
    return msgspec.convert(values, Settings, strict=False)


def shown_own_settings(settings: Settings) -> dict[str, Any]:
    """{name: value} of the settings of the application itself: texts are masked where the name or a URL says so."""
    return {
        name: value if not isinstance(value, str) else "***" if is_secret_name(name) else masked(value)
        for name, value in settings.app.items()
    }


def _kinds_in(value: Any) -> str:
    """What a value is made of, without showing it.

    >>> _kinds_in([5, "log://"])
    'a list of int, str'
    """
    if not isinstance(value, list | tuple):
        return f"a value of type {type(value).__name__}"
    return f"a list of {', '.join(sorted({type(part).__name__ for part in value}))}"


def _check(settings: Settings, sources: Mapping[str, str]) -> None:
    for name, low, high in _RANGES:
        value = getattr(settings, name)
        if not low <= value <= high:
            raise BadSetting(f"{_named(name, sources)} must be from {low} to {high}, got {value}")
    if not settings.processes or set(settings.processes) - set(PROCESSES):
        got = ", ".join(settings.processes) or "none"
        raise BadSetting(
            f"{_named('processes', sources)} must be one or several of {', '.join(PROCESSES)}, got {got}: leave it out "
            "to run all"
        )
    for name in _READERS:
        try:
            _READERS[name](getattr(settings, name))
        except BadInput as error:
            raise BadSetting(f"{_named(name, sources)}: {error}") from None
    _check_access(settings, sources)
    if settings.log_format not in LOG_FORMATS:
        must = " or ".join(LOG_FORMATS)
        raise BadSetting(f"{_named('log_format', sources)} must be {must}, got {settings.log_format!r}")
    if parse_duration(settings.lease) < _SHORTEST_LEASE_US:
        raise BadSetting(f"{_named('lease', sources)} must be 1s or longer, got {settings.lease}")
    if not settings.host:
        raise BadSetting(f"{_named('host', sources)} must be an address of this machine, such as 127.0.0.1, got ''")


_RANGES = (
    ("workers", 1, 1_000),
    ("port", 0, 65_535),
    ("keep_runs", 1, 1_000_000),
    ("connections", 1, 1_000_000),
    ("connections_per_address", 1, 1_000_000),
)


def _check_access(settings: Settings, sources: Mapping[str, str]) -> None:
    if settings.access not in ACCESS_MODES:
        must = ", ".join(ACCESS_MODES)
        raise BadSetting(f"{_named('access', sources)} must be one of {must}, got {settings.access!r}")
    for origin in settings.origins:
        try:
            if check_origin(origin) != origin:
                raise BadInput("origin", check_origin(origin), origin)
        except BadInput as error:
            raise BadSetting(f"{_named('origins', sources)}: {error}") from None
    for network in settings.trusted_proxies:
        try:
            ip_network(network)
        except ValueError as error:
            must = "addresses or networks, such as 10.0.0.0/8"
            raise BadSetting(f"{_named('trusted_proxies', sources)} must be {must}, got {network!r}: {error}") from None


_LISTS = ("processes", "identity_roles", "trusted_proxies", "origins")
_SHORTEST_LEASE_US = 1_000_000
_READERS: dict[str, Any] = {
    "zone": find_zone,
    "keep_answers": parse_duration,
    "drain": parse_duration,
    "lease": parse_duration,
    **dict.fromkeys(LIMITS, lambda text: None if text == AUTO else parse_rate(text)),
}


def _named(name: str, sources: Mapping[str, str]) -> str:
    source = sources[name]
    return f"setting {name}" + ("" if source == "default" else f" ({source})")
