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
from flyball.core import BadSetting, ManualClock, Refused, parse_timestamp
from flyball.events import Offsets, find_format, open_log
from flyball.runtime import Runtime, load_settings


def instants(runtime: Runtime, name: str, lines: list[bytes]) -> list[object]:
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
        found = instants(runtime, name, [line % here.encode(), line % f"{here}Z".encode()])
        assert found == [utc - ahead * 3_600_000_000, utc]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "", "../etc/passwd", "/etc/localtime", "+02:00"])
def test_an_unknown_zone_is_refused(tmp_path: Path, zone: str) -> None:
    with pytest.raises(BadSetting, match="zone must be one the system knows"):
        load_settings(tmp_path, environment={"FLYBALL_ZONE": zone})


def test_a_zone_that_the_application_declares_holds_unless_the_settings_name_one(tmp_path: Path) -> None:
    app = movies.make_app()
    app.formats["movielog"] = MovieLog(timezone(timedelta(hours=3)))
    line = WATCH % b"2026-01-10T12:00:00"
    for environment, hours in (({}, 3), ({"FLYBALL_ZONE": "Europe/Berlin"}, 1)):
        runtime = Runtime(app, load_settings(tmp_path, environment=environment), ManualClock(0))
        assert instants(runtime, "movielog", [line]) == [
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
    with pytest.raises(BadSetting, match="keep_runs must be 1 or more, got 0"):
        load_settings(tmp_path, options={"keep_runs": 0})
    with pytest.raises(BadSetting, match="keep_answers must be a duration such as 90d"):
        load_settings(tmp_path, environment={"FLYBALL_KEEP_ANSWERS": "for ever"})


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

    class Busy:
        def __init__(self, url: str) -> None:
            self.log = open_log(url)

        def ends(self) -> Offsets:
            work()
            found = self.log.ends()
            work()
            return found

    work()
    monkeypatch.setattr("flyball.runtime.open_log", Busy)
    assert isinstance(at_home(tmp_path, {}).log, Busy)
    assert sum(other.history.offsets()) == sum(other.log.ends()) == 3


def test_settings_handed_over_before_features_had_a_store_name_the_one_in_the_home(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.features == f"lmdb://{tmp_path}/features"
    older = msgspec.structs.replace(settings, features="")
    runtime = Runtime(movies.make_app(), older, ManualClock(0))
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
