"""Homes of an application in which people are named in several roles, and all that is derived from their events."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.app import App, load_app
from flyball.core import ManualClock
from flyball.events import LineSource, find_format, ingest_lines, open_log
from flyball.history import take_snapshot
from flyball.operations import catch_up
from flyball.outcomes import prediction_of
from flyball.registry import Version
from flyball.runtime import Runtime, load_settings
from flyball.serving import answer_once
from flyball.state.view import names_in, prefix_of

NOW_US = 1_700_000_000_000_000
MINUTE_US = 60_000_000

APP = '''
"""A cinema."""
from typing import Annotated

import flyball as fb

User = Annotated[int, fb.Ref("user")]
Film = Annotated[str, fb.Ref("film"), fb.text(max_length=40)]


class Viewer(fb.Profile):
    user: User
    name: Annotated[str, fb.text(max_length=80)]


class Watch(fb.Event):
    user: User
    film: Film
    minute: Annotated[int, fb.integer(0, 500)]


class Gift(fb.Event):
    user: User
    film: Film
    receiver: User | None = None


class Party(fb.Event):
    film: Film
    guests: list[User]


user = fb.Entity("user", profile=Viewer, watched=fb.count(Watch, "7d"), known_by=[Watch])
film = fb.Entity("film", views=fb.count(Watch, "7d"), minutes=fb.mean(Watch, lambda w: w.minute, "7d"))
app = fb.App(
    "cinema",
    events=[Watch, Gift, Party],
    task=fb.Recommend(user, film, positive=fb.outcome(Watch, within="1d"), k=3),
    candidates={"popular": fb.Popular()},
)
'''


def cinema(folder: Path) -> App:
    """The application, from a file in the folder."""
    path = folder / "cinema.py"
    path.write_text(APP)
    return load_app(str(path), {})


def open_home(app: App, folder: Path, settings: str = "") -> Runtime:
    """A home of the application in the folder, on the stores that `settings` names."""
    folder.mkdir(parents=True, exist_ok=True)
    if settings:
        (folder / "settings.toml").write_text(settings)
    return Runtime(app, load_settings(folder), ManualClock(NOW_US))


def again(home: Runtime) -> Runtime:
    """The same home in a new process."""
    return Runtime(home.app, home.settings, home.clock)


def people_in(event: Mapping[str, Any]) -> set[int]:
    """Whom an event names, in any role."""
    named = {event.get("user"), event.get("receiver"), *event.get("guests", ())}
    return {number for number in named if number is not None}


def add(home: Runtime, events: Sequence[Mapping[str, Any]]) -> None:
    """Ingest events, each a second later than the one before."""
    start_us = home.clock.now_us()
    lines = [
        msgspec.json.encode({**event, "at": start_us + number * 1_000_000}) for number, event in enumerate(events, 1)
    ]
    home.clock.advance_us(len(events) * 1_000_000)  # type: ignore[attr-defined]
    ingest_lines(lines, LineSource("web", find_format("jsonl"), "jsonl", "live"), home.inlet)


def answer(home: Runtime, users: Sequence[int]) -> None:
    """Answer a request of each user."""
    for user in users:
        home.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
        answer_once(home, str(user), 3)


def copy_without(source: Runtime, target: Runtime, people: set[int]) -> None:
    """Fill a home with the logs of another one as they would be had these people never been there.

    Written without the code under test: which records name whom is read from the decoded events. The others have the
    same offsets, since ties in time are broken by them.
    """
    for name in ("events", "predictions"):
        log, copy = open_log(getattr(source.settings, name)), open_log(getattr(target.settings, name))
        pieces = []
        for piece in log.read((0,) * len(log.ends()), 1_000_000):
            skipped, first = piece.skipped, piece.first
            run = list[Any]()
            for offset, record in enumerate(piece.records, piece.first):
                named = (
                    people_in(msgspec.to_builtins(source.schema.decode(record)))
                    if name == "events"
                    else {int(prediction_of(record).key)}
                )
                if named & people:
                    if run:
                        pieces.append(msgspec.structs.replace(piece, first=first, records=run, skipped=skipped))
                        skipped, run = 0, []
                    skipped += 1
                    first = offset + 1
                else:
                    if not run:
                        first = offset
                    run.append(record)
            pieces.append(msgspec.structs.replace(piece, first=first, records=run, skipped=skipped))
        copy.restore(pieces, log.schemas.stored())  # type: ignore[attr-defined]


def derived(home: Runtime) -> dict[str, Any]:
    """All that is derived from the logs of an embedded home, brought up to them."""
    views = views_of(home)
    return {**views, "outcomes": rows_of(home, ("requested", "attributions", "counts", "label_events"))}


def views_of(home: Runtime) -> dict[str, Any]:
    """What is derived from the logs, without outcomes, of a home on any stores."""
    catch_up(home)
    home.catalog.catch_up(home.log)
    now_us = NOW_US + 1_000 * MINUTE_US
    views = {name: dict(home.state.scan(prefix_of(name))) for name in names_in(home.state)}
    features = {key: value for key, value in home.feature_state.scan(b"") if not key.startswith(b"m/")}
    predictions = home.predictions.read((0,) * len(home.predictions.ends()), 1_000_000)
    records = home.log.read((0,) * len(home.log.ends()), 1_000_000)
    return {
        "events": sorted((record for piece in records for record in piece.records), key=repr),
        "predictions": sorted((record for piece in predictions for record in piece.records), key=repr),
        "snapshot": take_snapshot(home.history_files, home.schema, now_us, home.home / "compared").name,
        "state": views,
        "features": features,
        "offsets": (home.state.offsets(), home.feature_state.offsets()),
        "known": {entity: sorted(keys) for entity, keys in again(home).catalog.known().items()},
    }


def rows_of(home: Runtime, tables: Sequence[str]) -> dict[str, list[Any]]:
    """The rows of the outcomes, with the names of items instead of their numbers."""
    from contextlib import closing
    from sqlite3 import connect

    with closing(connect(str(home.outcomes_path))) as connection:
        items = dict(connection.execute("SELECT number, name FROM items").fetchall())
        rows: dict[str, list[Any]] = {}
        for table in tables:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            column = names.index("item") if "item" in names else -1
            listed = names.index("items") if "items" in names else -1
            rows[table] = sorted(
                tuple(
                    items.get(value) if index == column else "" if index == listed else value
                    for index, value in enumerate(row)
                )
                for row in connection.execute(f"SELECT * FROM {table}")
            )
    return rows


def version_of(artifact: str, snapshot: str, run: str = "r1") -> Version:
    """A version of a run that learned from a snapshot."""
    return Version(
        app="cinema",
        candidate="popular",
        kind="popular",
        params={},
        seed=0,
        snapshot=snapshot,
        as_of_us=NOW_US,
        created_us=NOW_US,
        run=run,
        state="candidate",
        artifact=artifact,
    )
