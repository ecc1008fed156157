"""Settings that reach every store and format of an application."""

import shutil
from datetime import timedelta, timezone
from itertools import count
from pathlib import Path

import msgspec
import pytest

import flyball
from flyball.apps import movies
from flyball.apps.movielog import MovieLog
from flyball.core import BadSetting, ManualClock, Refused, UnknownBackend, parse_timestamp, parse_url
from flyball.events import DeclaredLog, Offsets, Quarantined, find_format
from flyball.events.sqlite import SqliteLog
from flyball.runtime import Runtime, load_settings
from flyball.settings import STORES, Settings, read_settings, shown_settings


def timestamps(runtime: Runtime, name: str, lines: list[bytes]) -> list[object]:
    """The times of the lines as the format `name` reads them."""
    parsed = find_format(name, runtime.formats).parser(runtime.schema).parse(lines)
    assert parsed.bad == []
    return [at for batch in parsed.batches for at in batch.at]


def at_home(folder: Path, environment: dict[str, str]) -> Runtime:
    return Runtime(movies.make_app(), load_settings(folder, environment=environment), ManualClock(0))


WATCH = b"%s,7,GET /data/m/up+2009/3.mpg"
ROW = b'{"type": "joined", "user": 7, "at": "%s"}'


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", (0, 0)), ("Europe/Berlin", (1, 2)), ("America/New_York", (-5, -4)), ("Asia/Tokyo", (9, 9))],
)
@pytest.mark.parametrize(("name", "line"), [("movielog", WATCH), ("jsonl", ROW)])
def test_times_that_name_no_zone_are_read_in_the_one_of_the_settings(
    tmp_path: Path, zone: str, hours: tuple[int, int], name: str, line: bytes
) -> None:
    runtime = at_home(tmp_path, {"FLYBALL_ZONE": zone})
    for month, ahead in zip(("01", "07"), hours, strict=True):
        here = f"2026-{month}-10T12:00:00"
        utc = parse_timestamp(f"{here}Z")
        found = timestamps(runtime, name, [line % here.encode(), line % f"{here}Z".encode()])
        assert found == [utc - ahead * 3_600_000_000, utc]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "", "../etc/passwd", "/etc/localtime", "+02:00"])
def test_an_unknown_zone_is_refused(tmp_path: Path, zone: str) -> None:
    with pytest.raises(BadSetting, match=r"setting zone \(FLYBALL_ZONE\): zone must be one the system knows"):
        load_settings(tmp_path, environment={"FLYBALL_ZONE": zone})


def test_a_zone_that_the_application_declares_holds_unless_the_settings_name_one(tmp_path: Path) -> None:
    app = movies.make_app()
    app.formats["movielog"] = MovieLog(timezone(timedelta(hours=3)))
    line = WATCH % b"2026-01-10T12:00:00"
    for environment, hours in (({}, 3), ({"FLYBALL_ZONE": "Europe/Berlin"}, 1)):
        runtime = Runtime(app, load_settings(tmp_path, environment=environment), ManualClock(0))
        assert timestamps(runtime, "movielog", [line]) == [
            parse_timestamp("2026-01-10T12:00:00Z") - hours * 3_600_000_000
        ]


def test_a_film_may_have_a_title() -> None:
    schema = movies.make_app().schema
    for title in ("Up (2009)", None):
        record = schema.check("filmcard", {"film": "up+2009", "title": title}, 0, 0)
        card = schema.decode(record)
        assert isinstance(card, movies.FilmCard)
        assert card.title == title
    assert schema.decode(schema.check("filmcard", {"film": "up+2009"}, 0, 0)) == card


def test_how_long_artifacts_are_kept_is_a_setting_that_is_checked(tmp_path: Path) -> None:
    found = load_settings(tmp_path, environment={"FLYBALL_KEEP_RUNS": "2", "FLYBALL_KEEP_ANSWERS": "2w"})
    assert (found.keep_runs, found.keep_answers) == (2, "2w")
    with pytest.raises(BadSetting, match=r"keep_runs \(option\) must be from 1 to 1000000, got 0"):
        load_settings(tmp_path, options={"keep_runs": 0})
    with pytest.raises(BadSetting, match=r"setting keep_answers \(FLYBALL_KEEP_ANSWERS\): duration must be"):
        load_settings(tmp_path, environment={"FLYBALL_KEEP_ANSWERS": "for ever"})


def test_the_parts_that_a_machine_runs_are_names_separated_by_commas(tmp_path: Path) -> None:
    assert load_settings(tmp_path).processes == ("serving", "worker", "governor")
    found = load_settings(tmp_path, environment={"FLYBALL_PROCESSES": "worker, serving", "FLYBALL_DRAIN": "3s"})
    assert (found.processes, found.drain) == (("worker", "serving"), "3s")
    (tmp_path / "settings.toml").write_text('processes = ["governor"]\n')
    assert load_settings(tmp_path).processes == ("governor",)
    must = r"setting processes \(option\) must be one or several of serving, worker, governor, got "
    for wrong in ("serving,learner", "", "all"):
        with pytest.raises(BadSetting, match=must):
            load_settings(tmp_path, options={"processes": wrong})
    with pytest.raises(BadSetting, match=r"setting drain \(FLYBALL_DRAIN\): duration must be"):
        load_settings(tmp_path, environment={"FLYBALL_DRAIN": "soon"})


def test_a_log_that_ends_before_what_was_taken_from_it_is_refused(tmp_path: Path) -> None:
    """New events would get offsets that every consumer has passed, and would reach none of them."""
    runtime = at_home(tmp_path, {})
    joined = [runtime.schema.check("joined", {"user": user}, user, user) for user in range(1, 9)]
    runtime.log.append(joined)
    runtime.history_consumer.apply(runtime.log.read(runtime.history_consumer.offsets(), 100))
    runtime.history_consumer.flush()
    assert at_home(tmp_path, {}).log.ends() == runtime.log.ends()
    for file in tmp_path.glob("events.db*"):
        file.unlink()
    with pytest.raises(Refused, match="it was deleted or replaced. Put it back"):
        assert at_home(tmp_path, {}).log
    shutil.rmtree(tmp_path / "history")
    assert sum(at_home(tmp_path, {}).log.ends()) == 0


def test_a_log_that_others_append_to_while_it_is_opened_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history may reach further than the log did a moment before."""
    other = at_home(tmp_path, {})
    consumer, users = other.history_consumer, count(1)

    def work() -> None:
        """What the log worker of another process may have done between any two looks."""
        other.log.append([other.schema.check("joined", {"user": next(users)}, 5, 5)])
        consumer.apply(other.log.read(consumer.offsets(), 100))
        consumer.flush()

    class Busy(SqliteLog):
        asked = 0

        def __init__(self, url: str) -> None:
            super().__init__(parse_url(url))

        def ends(self) -> Offsets:
            Busy.asked += 1
            work()
            ends = super().ends()
            work()
            return ends

    work()
    monkeypatch.setattr("flyball.runtime.open_log", Busy)
    assert isinstance(at_home(tmp_path, {}).log, DeclaredLog)
    assert Busy.asked == 1
    assert sum(other.history.offsets()) == sum(other.log.ends()) == 3


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"FLYBALL_WORKERS": "0"}, r"setting workers \(FLYBALL_WORKERS\) must be from 1 to 1000, got 0"),
        ({"FLYBALL_PORT": "99999"}, r"setting port \(FLYBALL_PORT\) must be from 0 to 65535, got 99999"),
        ({"FLYBALL_PORT": "-1"}, "must be from 0 to 65535, got -1"),
        ({"FLYBALL_PORT": "http"}, "setting port .* must be an integer, got 'http'"),
        ({"FLYBALL_HOST": ""}, r"setting host \(FLYBALL_HOST\) must be an address"),
        ({"FLYBALL_WORKRES": "3"}, "must be one of .*FLYBALL_APP, .*FLYBALL_WORKERS, .*, got FLYBALL_WORKRES"),
        ({"FLYBALL_workers": "3"}, "got FLYBALL_workers"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_source(tmp_path: Path, environment: dict[str, str], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        load_settings(tmp_path, environment=environment)


@pytest.mark.parametrize("text", ["workres = 3", "home = '/elsewhere'", "workers = 0", "workers =", "workers = 'many'"])
def test_a_wrong_line_in_the_file_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(BadSetting, match=r"settings\.toml"):
        load_settings(tmp_path)


def test_options_come_before_the_environment_before_the_file_and_each_says_so(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("port = 1\nworkers = 1\nkeep_runs = 1\nhost = '0.0.0.0'\n")
    sourced = read_settings(
        tmp_path,
        environment={"FLYBALL_PORT": "2", "FLYBALL_WORKERS": "2", "FLYBALL_HOME": "/elsewhere", "OTHER": "x"},
        options={"port": 3, "host": None},
    )
    values = sourced.settings
    assert (values.port, values.workers, values.keep_runs, values.host) == (3, 2, 1, "0.0.0.0")
    file = str(tmp_path / "settings.toml")
    sources = [sourced.sources[name] for name in ("port", "workers", "keep_runs", "host", "zone", "events")]
    assert sources == ["option", "FLYBALL_WORKERS", file, file, "default", "default"]


def test_settings_passed_before_a_store_had_a_url_name_the_one_in_the_home(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.features == f"lmdb://{tmp_path}/features"
    older = {name: getattr(settings, name) for name in ("home", "events", "predictions", "state", "registry")}
    assert msgspec.convert(older, Settings) == settings
    runtime = Runtime(movies.make_app(), msgspec.convert(older, Settings), ManualClock(0))
    runtime.feature_state.write({b"k": b"v"}, (1,))
    assert (tmp_path / "features").is_dir()


def test_a_home_is_of_the_application_that_began_it(tmp_path: Path) -> None:
    at_home(tmp_path / "home", {}).log.ends()
    assert (tmp_path / "home" / "application").read_text() == "movies\n"
    assert at_home(tmp_path / "home", {}).log.ends() == (0, 0, 0, 0)
    (tmp_path / "home" / "application").write_text("news\n")
    with pytest.raises(Refused, match="must be of movies, got one that news began: choose another --home"):
        at_home(tmp_path / "home", {})
    with pytest.raises(Refused, match="got one that news began"):
        flyball.open("movies", tmp_path / "home")


@pytest.mark.parametrize(
    ("setting", "url", "words"),
    [
        ("EVENTS", "pulsar://broker", "event log URL must start with one of kafka://, sqlite://, got pulsar://"),
        ("PREDICTIONS", "pulsar://broker", "event log URL must start with one of kafka://, sqlite://, got pulsar://"),
        (
            "QUARANTINE",
            "pg://db",
            "quarantine URL must start with one of memory://, postgresql://, sqlite://, got pg://",
        ),
        ("CATALOG", "pg://db", "catalog URL must start with one of memory://, postgresql://, sqlite://, got pg://"),
        ("STATE", "pg://db", "state store URL must start with one of lmdb://, memory://, redis://, got pg://"),
        ("FEATURES", "pg://db", "state store URL must start with one of lmdb://, memory://, redis://, got pg://"),
        ("REGISTRY", "mongo://db", "registry URL must start with one of postgresql://, sqlite://, got mongo://"),
        ("OUTCOMES", "pg://db", "outcomes URL must start with one of postgresql://, sqlite://, got pg://"),
        ("HISTORY", "ftp://host", "history URL must start with one of az://, file://, gs://, s3://, got ftp://"),
        ("ARTIFACTS", "ftp://host", "artifacts URL must start with one of az://, file://, gs://, s3://, got ftp://"),
        ("APPLY_DELAYS", "s3://bucket", "apply delays URL must start with one of file://, got s3://"),
    ],
)
def test_every_store_is_opened_by_its_url_and_another_backend_is_refused(
    tmp_path: Path, setting: str, url: str, words: str
) -> None:
    runtime = at_home(tmp_path, {f"FLYBALL_{setting}": url})
    stores = {
        "EVENTS": lambda: runtime.log,
        "PREDICTIONS": lambda: runtime.predictions,
        "QUARANTINE": lambda: runtime.quarantine,
        "CATALOG": lambda: runtime.catalog,
        "STATE": lambda: runtime.state,
        "FEATURES": lambda: runtime.feature_state,
        "REGISTRY": lambda: runtime.registry,
        "OUTCOMES": lambda: runtime.outcomes_path,
        "HISTORY": lambda: runtime.history,
        "ARTIFACTS": lambda: runtime.artifacts,
        "APPLY_DELAYS": lambda: runtime.apply_delays_path,
    }
    assert {name.lower() for name in stores} == set(STORES)
    with pytest.raises(UnknownBackend, match=words):
        stores[setting]()


def test_a_store_elsewhere_takes_nothing_from_the_home(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    environment = {
        "FLYBALL_QUARANTINE": f"sqlite://{other}/q.db",
        "FLYBALL_CATALOG": f"sqlite://{other}/c.db",
        "FLYBALL_HISTORY": f"file://{other}/h",
    }
    runtime = at_home(tmp_path / "home", environment)
    runtime.log.append([runtime.schema.check("joined", {"user": 7}, 5, 5)])
    runtime.catalog.catch_up(runtime.log)
    runtime.quarantine.put([Quarantined(1, "r", "d", b"x", "s", 1, "csv")])
    runtime.history_consumer.apply(runtime.log.read(runtime.history_consumer.offsets(), 10))
    runtime.history_consumer.flush()
    assert {path.name for path in other.iterdir()} >= {"q.db", "c.db", "h"}
    assert not {"quarantine.db", "catalog.db", "history"} & {path.name for path in (tmp_path / "home").iterdir()}


@pytest.mark.parametrize("text", ["slack+https://h/s3cret log://", 'sinks = "slack+https://h/s3cret log://"'])
def test_sinks_are_urls_with_spaces_between_them_or_a_list(text: str, tmp_path: Path) -> None:
    file, environment = tmp_path / "settings.toml", {"FLYBALL_SINKS": text}
    if text.startswith("sinks"):
        file.write_text(text)
        file.chmod(0o600)
        environment = {}
    settings = load_settings(tmp_path, file if file.exists() else None, environment)
    assert settings.sinks == ("slack+https://h/s3cret", "log://")
    assert shown_settings(settings)["sinks"] == ["slack+https://h/***", "log://"]
    file.write_text('sinks = ["log://", 3]')
    with pytest.raises(BadSetting, match=r"setting sinks .* must be a list of URLs, .*, got a list of int, str"):
        load_settings(tmp_path, file)


def test_a_runtime_that_was_closed_opens_its_stores_again(tmp_path: Path) -> None:
    runtime = Runtime(movies.make_app(), load_settings(tmp_path), ManualClock(0))
    runtime.close()  # nothing was opened
    for _ in range(2):
        stores = (runtime.log, runtime.predictions, runtime.state, runtime.feature_state)
        assert [sum(store.ends() if hasattr(store, "ends") else store.offsets()) for store in stores] == [0] * 4
        assert runtime.quarantine.list(state=None, limit=1) == []
        assert runtime.registry.runs() == []
        assert runtime.exposure_counter.offsets(1) == (0,)
        assert runtime.tracer is None, "none is declared, and none is closed"
        runtime.close()
