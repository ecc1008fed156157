"""Catalogs, groups, and the past rebuilt from the log."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadDeclaration, NotFound, Refused
from flyball.events import Appended, Event, Offsets, Profile, Record, Schema, Slice
from flyball.features import Entity
from flyball.policy import outcome, value
from flyball.state import Catalog, StateConsumer, catalog_version, load_catalog, state_at
from flyball.stores.memory import MemoryStore
from flyball.tasks import Signals, read_histories, read_popular, views_of
from flyball.testing.state_contract import divided
from flyball.testing.state_logs import (
    APPLICATION,
    HOUR,
    PARTITIONS,
    START,
    Application,
    Card,
    FilmCard,
    Joined,
    Rate,
    User,
    Watch,
    records,
)


@pytest.fixture
def app() -> Application:
    return APPLICATION


class ListLog:
    """A log that lies in a list; reads give a few records at a time."""

    def __init__(self, log: Sequence[Sequence[Record]], chunk: int = 3) -> None:
        self.log, self.chunk, self.reads = log, chunk, 0

    def append(self, records: Sequence[Record]) -> Appended:
        raise NotImplementedError

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        self.reads += 1
        found = [
            Slice(partition, first, list(part[first : first + self.chunk]))
            for partition, (first, part) in enumerate(zip(after, self.log, strict=True))
        ]
        return [piece for piece in found if piece.records]

    def ends(self) -> Offsets:
        return tuple(len(part) for part in self.log)


def applied(app: Application, came: Sequence[Record]) -> MemoryStore:
    store = MemoryStore()
    consumer = StateConsumer(app.views, store, partitions=PARTITIONS)
    consumer.apply(divided(app.partitioned(came), [])[0])
    return store


@given(records(), st.data())
@settings(max_examples=80, deadline=None)
def test_the_past_of_a_user_is_rebuilt_from_the_log(came: list[Record], data: st.DataObject) -> None:
    app = APPLICATION
    log = app.partitioned(came)
    until = tuple(data.draw(st.integers(0, len(part))) for part in log)
    live = MemoryStore()
    StateConsumer(app.views, live, partitions=PARTITIONS).apply(divided(log, [list(until)])[0])
    rebuilt = state_at(ListLog(log), until, app.views, {"1", "unknown"})
    everyone = state_at(ListLog(log), until, app.views, None)
    (then, nobody), _ = read_histories(live, app.signals, ["1", "unknown"])
    (found, still_nobody), _ = read_histories(rebuilt, app.signals, ["1", "unknown"])
    assert (found.items, found.seen, found.group) == (then.items, then.seen, then.group)
    for column in ("weights", "ratings", "at_us"):
        assert getattr(found, column).tobytes() == getattr(then, column).tobytes()
    assert nobody.items == still_nobody.items == []
    assert load_catalog(rebuilt, app.film).ids == load_catalog(live, app.film).ids
    assert list(everyone.scan(b"")) == list(live.scan(b""))


def test_offsets_beyond_the_log_are_refused(app: Application) -> None:
    with pytest.raises(Refused, match="must lie within the log"):
        state_at(ListLog([[], [], []]), (1, 0, 0), app.views, None)


def test_the_catalog_holds_the_latest_profile_whatever_came_first(app: Application) -> None:
    cards = [
        app.record("filmcard", START + at, film=film, title=title, genres=genres)
        for at, film, title, genres in [(5, "b", "late", ["x"]), (3, "b", "early", []), (9, "a", "?", [])]
    ]
    one, other = applied(app, cards), applied(app, cards[::-1])
    for store in (one, other):
        catalog = load_catalog(store, app.film)
        assert catalog.ids == ["a", "b"]
        assert catalog.attributes("title") == ["?", "late"]
        assert catalog.attributes("genres") == [[], ["x"]]
        assert catalog.attributes("film") == ["a", "b"]
        assert catalog.known_since_us == [START + 9, START + 3]
        assert catalog.index == {"a": 0, "b": 1}
    assert catalog_version(one, app.film) == catalog_version(other, app.film) == load_catalog(one, app.film).version
    with pytest.raises(NotFound, match="title"):
        catalog.attributes("color")


def test_the_version_tells_a_change_and_nothing_else(app: Application) -> None:
    first = app.record("filmcard", START, film="a", title="x")
    before = catalog_version(applied(app, [first]), app.film)
    watched = app.record("watch", START, user=1, film="a", minute=1)
    older = app.record("filmcard", START, film="b", title="x")
    assert catalog_version(applied(app, [first, watched]), app.film) == before
    assert catalog_version(applied(app, [first, older]), app.film) != before
    assert catalog_version(MemoryStore(), app.film) == b""


def test_an_account_makes_a_user_known_without_a_profile(app: Application) -> None:
    store = applied(app, [app.record("joined", START, user=7), app.record("card", START + 1, user=8, gender="f")])
    catalog = load_catalog(store, app.user)
    assert catalog.ids == ["7", "8"]
    assert catalog.attributes("gender") == [None, "f"]


def test_a_unknown_with_a_profile_has_its_group_and_no_history(app: Application) -> None:
    store = applied(app, [app.record("card", START, user=7, gender="f")])
    (history, unknown), _ = read_histories(store, app.signals, ["7", "8"])
    assert (history.items, history.group, unknown.group) == ([], "f", None)


def test_a_user_who_changes_groups_takes_the_likes_along(app: Application) -> None:
    came = [app.record("rate", START, user=7, film="a", stars=5), app.record("card", START, user=7, gender="f")]
    later = app.record("card", START + HOUR, user=7, gender="m")
    assert read_popular(applied(app, came), app.signals, "f").items == ["a"]
    moved = applied(app, [*came, later])
    assert (read_popular(moved, app.signals, "f").items, read_popular(moved, app.signals, "m").items) == ([], ["a"])
    assert read_popular(moved, app.signals).items == ["a"]


class Alone(Event):
    user: User


def test_mistakes_in_a_declaration_name_their_place(app: Application) -> None:
    schema = Schema([Watch, Rate, Joined, Card, FilmCard, Alone])
    with pytest.raises(BadDeclaration, match="event Alone of the task must be naming a film"):
        Signals(app.user, app.film, outcome(Alone), schema=schema)
    with pytest.raises(BadDeclaration, match="event Watch of the task must be among the declared"):
        Signals(app.user, app.film, outcome(Watch), schema=Schema([Rate]))
    with pytest.raises(BadDeclaration, match=r"stards"):
        Signals(app.user, app.film, outcome(Rate, where=lambda r: r.stards >= 4), schema=schema)
    with pytest.raises(BadDeclaration, match="color"):
        Signals(app.user, app.film, outcome(Rate), rating=value(Rate, lambda r: r.color), schema=schema)
    with pytest.raises(BadDeclaration, match="Entity name"):
        Entity("a user")
    with pytest.raises(BadDeclaration, match="over a profile"):
        Entity("user", group=lambda p: p.gender)
    with pytest.raises(BadDeclaration, match="events that name it"):
        views_of(schema, app.signals, [Entity("shop", known_by=(Watch,))])
    with pytest.raises(BadDeclaration, match="twice"):
        views_of(schema, app.signals, [Entity("user")])


def test_an_empty_catalog_is_one(app: Application) -> None:
    catalog = load_catalog(MemoryStore(), app.film)
    assert isinstance(catalog, Catalog)
    assert (catalog.ids, catalog.attributes("title")) == ([], [])
    assert Profile in FilmCard.__mro__
