"""A small application and logs of it, drawn by Hypothesis (install `flyball[dev]` for it)."""

import zlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from hypothesis import strategies as st

from flyball.events import Event, Profile, Record, Ref, Schema, integer, text
from flyball.features import Entity
from flyball.policy import any_of, outcome, value
from flyball.state import View
from flyball.tasks import Signals, views_of

User = Annotated[int, Ref("user")]
Film = Annotated[str, Ref("film"), text(max_length=120)]

SECOND = 1_000_000
HOUR = 3_600 * SECOND
WITHIN = 2 * HOUR
START = 1_600_000_000 * SECOND
PARTITIONS = 3


class Watch(Event):
    user: User
    film: Film
    minute: Annotated[int, integer(0, 2_000)]


class Rate(Event):
    user: User
    film: Film
    stars: Annotated[float, integer(0, 5)] | None = None


class Joined(Event):
    user: User


class Card(Profile):
    user: User
    gender: str = ""


class FilmCard(Profile):
    film: Film
    title: str = "?"
    genres: list[str] = msgspec.field(default_factory=list)


class Application:
    """Watches and ratings; a film is liked with 4 stars, or with 3 watched minutes within two hours."""

    def __init__(self) -> None:
        self.schema = Schema([Watch, Rate, Joined, Card, FilmCard])
        self.user = Entity("user", Card, known_by=(Joined,), group=lambda card: card.gender)
        self.film = Entity("film", FilmCard)
        self.entities = (self.user, self.film)
        self.signals = Signals(
            self.user,
            self.film,
            any_of(outcome(Rate, where=lambda r: r.stars >= 4), outcome(Watch, at_least=3, within="2h")),
            outcome(Watch, where=lambda w: w.minute >= 10, at_least=2, within="2h"),
            outcome(Rate, where=lambda r: r.stars <= 1.5),
            value(Rate, lambda r: r.stars),
            schema=self.schema,
        )

    @property
    def views(self) -> list[View]:
        """The views of this task, without events."""
        return views_of(self.schema, self.signals, self.entities)

    def record(self, name: str, at: int, known_at: int | None = None, **fields: Any) -> Record:
        return self.schema.check(name, fields, at, at if known_at is None else known_at)

    def partitioned(self, records: Sequence[Record]) -> list[list[Record]]:
        """The records as in a log: by partition of the key, each id once."""
        log: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        for record in {record.id: record for record in records}.values():
            log[zlib.crc32(record.key.encode()) % PARTITIONS].append(record)
        return log


APPLICATION = Application()

# times at, one before and one after the edges of the span and of the day, equal ones, and any
edges = [step + off for step in (0, HOUR, WITHIN, 2 * WITHIN, 24 * HOUR, 28 * 24 * HOUR) for off in (-1, 0, 1)]
times = st.one_of(st.sampled_from([START + edge for edge in edges]), st.integers(START, START + WITHIN + 2))
users = st.sampled_from([1, 1, 1, 2, 2, 3])
films = st.sampled_from(["a", "a", "a", "b+2009", "b+2009", "c", "eé"])


@st.composite
def records(draw: st.DrawFn, distinct_ratings: bool = False) -> list[Record]:
    """Events in order of arrival, with any order of times."""
    app = APPLICATION
    log_records: list[Record] = []
    rated: set[tuple[int, str, int]] = set()
    kinds = draw(st.sampled_from(["wwwwrrcfj", "w", "r", "wr", "wrc"]))
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=draw(st.integers(0, 30)), max_size=50)):
        at, user, film = draw(times), draw(users), draw(films)
        known_at = at + draw(st.sampled_from([0, 1, HOUR]))
        if kind == "w":
            log_records.append(
                app.record("watch", at, known_at, user=user, film=film, minute=draw(st.sampled_from([0, 9, 10, 11])))
            )
        elif kind == "r" and not (distinct_ratings and (user, film, at) in rated):
            rated.add((user, film, at))
            stars = draw(st.sampled_from([None, 0, 1.5, 1.5000001, 3.3, 4, 5]))
            log_records.append(app.record("rate", at, known_at, user=user, film=film, stars=stars))
        elif kind == "c":
            log_records.append(
                app.record("card", at, known_at, user=user, gender=draw(st.sampled_from(["", "f", "m"])))
            )
        elif kind == "f":
            log_records.append(
                app.record(
                    "filmcard",
                    at,
                    known_at,
                    film=film,
                    title=draw(st.sampled_from("?xy")),
                    genres=draw(st.sampled_from([[], ["x"]])),
                )
            )
        elif kind == "j":
            log_records.append(app.record("joined", at, known_at, user=user))
    return log_records


@st.composite
def cuts(draw: st.DrawFn, log: Sequence[Sequence[Record]]) -> list[list[int]]:
    """The offsets at which batches end, for each partition."""
    offsets, at = [], [0] * len(log)
    for _ in range(draw(st.integers(0, 5))):
        at = [draw(st.integers(low, len(part))) for low, part in zip(at, log, strict=True)]
        offsets.append(at)
    return offsets
