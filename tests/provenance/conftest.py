"""A small cinema in virtual time: two halves of films, users who like one half, and a service that answered them."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import ManualClock, parse_duration
from flyball.learning import learn
from flyball.operations import Worker, consumers_of
from flyball.outcomes import Prediction, prediction_of, prediction_record
from flyball.registry import Version
from flyball.releases import ReleaseState, current, promote
from flyball.runtime import Runtime, load_settings
from flyball.serving import Engine, Serving
from flyball.tasks import Request
from flyball.testing.requests import loader_of, make_request, online_of

DAY_US = parse_duration("1d")
START_US = 1_700_000_000_000_000
USERS, FILMS, DAYS = 60, 30, 10

APP = (
    CINEMA
    + """
class Rate(fb.Event):
    user: User
    film: Film
    stars: Annotated[int, fb.integer(1, 5)]


class Card(fb.Profile):
    film: Film
    half: str = ""


class Viewer(fb.Profile):
    user: User
    age: int | None = None


user = fb.Entity("user", profile=Viewer, group=lambda viewer: "old" if (viewer.age or 0) >= 40 else "young")
film = fb.Entity("film", profile=Card)

app = fb.App(
    "cinema",
    events=[Watch, Rate],
    task=fb.Recommend(
        user,
        film,
        positive=fb.any_of(
            fb.outcome(Rate, where=lambda r: r.stars >= 4, within="1d"),
            fb.outcome(Watch, where=lambda w: w.minute >= 30, within="1d"),
        ),
        weak_positive=fb.outcome(Watch, within="1d"),
        rating=fb.value(Rate, lambda r: r.stars),
        k=8,
    ),
    candidates={"item_knn": fb.ItemKNN(), "ease": fb.EASE(), "ials": fb.ImplicitALS(8), "popular": fb.Popular()},
    gates=fb.gates(min_examples=10, max_answer="10s", max_loss=1.0, at_least={"full_lists@8": 0.0}),
)
"""
)


class Cinema:
    """The application at one home, its clock moved by hand."""

    def __init__(self, folder: Path) -> None:
        (folder / "cinema.py").write_text(APP)
        self.clock = ManualClock(START_US)
        app = load_app(str(folder / "cinema.py"))
        self.runtime = Runtime(app, load_settings(folder / "home"), self.clock)
        self.worker = Worker(consumers_of(self.runtime))
        self.rng = random.Random(7)

    def put(self, name: str, at_us: int | None = None, **fields: object) -> None:
        at = self.clock.now_us() if at_us is None else at_us
        self.runtime.log.append([self.runtime.schema.check(name, fields, at, at)])

    def fill(self) -> None:
        """Profiles, then ten days in which each user watches films of their half."""
        schema, rng, records = self.runtime.schema, random.Random(1), []
        for film in range(FILMS):
            fields = {"film": f"f{film}", "half": str(film % 2)}
            records.append(schema.check("card", fields, START_US, START_US))
        for user in range(1, USERS + 1):
            records.append(schema.check("viewer", {"user": user, "age": 20 + user % 40}, START_US, START_US))
            mine = [film for film in range(FILMS) if film % 2 == (user % 5 == 0)]  # most belong to one half
            for day, film in enumerate(rng.sample(mine, DAYS)):
                at = START_US + day * DAY_US + user * 1_000_000
                fields = {"user": user, "film": f"f{film}", "minute": 40}
                records.append(schema.check("watch", fields, at, at))
        self.runtime.log.append(records)
        self.clock.move_to_us(START_US + DAYS * DAY_US)
        self.follow()

    def follow(self) -> None:
        self.worker.drain(self.clock.now_us())

    def learn(self) -> None:
        report = learn(self.runtime, workers=1)
        assert report.champion, report

    def champion(self, candidate: str) -> Version:
        """Make the version of `candidate` the champion."""
        version = next(one for one in self.runtime.registry.versions() if one.candidate == candidate)
        if current(self.runtime.registry).champion != version.id:
            promote(
                self.runtime.registry, version.id, "test", "test", self.clock.now_us(), artifacts=self.runtime.artifacts
            )
        return version

    def serving(self) -> Serving:
        """What a serving process holds now."""
        release = current(self.runtime.registry)
        online, offsets = online_of(self.runtime), self.runtime.state.offsets()
        if release.champion is None:
            return Serving(release, fallback=online.fallback(None), catalog_offsets=offsets)
        version = self.runtime.registry.version(release.champion)
        pipeline = loader_of(self.runtime).load(version).pipeline
        return Serving(release, {version.id: pipeline}, {}, online.fallback(pipeline), version.id, offsets)

    def request(self, user: int, **fields: Any) -> Request:
        return make_request(self.runtime, user, self.clock.now_us(), self.rng, **fields)

    def answer(self, *users: int, serving: Serving | None = None, ask: Request | None = None) -> list[Prediction]:
        """Answer the users in one batch and log the answers."""
        asks = [ask] if ask else [self.request(user) for user in users]
        runtime, failures = self.runtime, []
        engine = Engine(
            online_of(runtime).contexts,
            lambda *failure: failures.append(failure),
            serving or self.serving(),
        )
        answers = engine.answer(asks)
        runtime.predictions.append([prediction_record(one) for one in answers])
        assert not failures or serving is not None, failures
        return answers


@pytest.fixture
def cinema(tmp_path: Path) -> Cinema:
    one = Cinema(tmp_path)
    one.fill()
    return one


@pytest.fixture(scope="session")
def _learned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cinema")
    one = Cinema(folder)
    one.fill()
    one.learn()
    one.runtime.state.close()
    return folder


@pytest.fixture
def learned(_learned_home: Path, tmp_path: Path) -> Cinema:
    """A cinema that has learned; its own copy of the home."""
    shutil.copytree(_learned_home / "home", tmp_path / "home")
    one = Cinema(tmp_path)
    one.clock.move_to_us(START_US + DAYS * DAY_US)
    return one


FEATURES = """
user = fb.Entity(
    "user", profile=Viewer, group=lambda viewer: "old" if (viewer.age or 0) >= 40 else "young",
    watched=fb.count(Watch, "7d"), minutes=fb.mean(Watch, lambda w: w.minute, "30d"),
    age=fb.attribute(Viewer, lambda v: v.age),
)
film = fb.Entity(
    "film", profile=Card,
    views=fb.count(Watch, "7d"), trend=fb.decayed(Watch, "2d"), viewers=fb.distinct(Watch, lambda w: w.user, "30d"),
    half=fb.attribute(Card, lambda c: c.half),
)
user_film = fb.Features("user_film", keys=(user, film), seen=fb.count(Watch, fb.lifetime))
"""
RANKER = """"ranker": fb.Stages(
    (fb.ImplicitALS(8), fb.ItemKNN()), features=("user", "film", "user_film"), most=12,
    rank=fb.LambdaMART(n_estimators=20, num_leaves=4, min_data_in_leaf=5),
),"""


def with_features(text: str, features: str = FEATURES) -> str:
    start, end = text.index("user = fb.Entity"), text.index("app = fb.App")
    text = text[:start] + features + text[end:]
    return text.replace("k=8,", "k=8, features=(user_film,),").replace("candidates={", "candidates={" + RANKER)


class Theatre(Cinema):
    """The cinema with features and a ranker."""

    def __init__(self, folder: Path, features: str = FEATURES, name: str = "theatre") -> None:
        (folder / f"{name}.py").write_text(self.declared(features))
        super().__init__(folder)
        app = load_app(str(folder / f"{name}.py"))
        self.clock = ManualClock(START_US)
        self.runtime = Runtime(app, load_settings(folder / "home"), self.clock)
        self.worker = Worker(consumers_of(self.runtime))

    @staticmethod
    def declared(features: str) -> str:
        """The application's file."""
        return with_features(APP, features)

    def serving(self) -> Serving:
        runtime, version = self.runtime, self.champion("ranker")
        loaded = loader_of(runtime).load(version, warm_at_us=self.clock.now_us())
        return Serving(ReleaseState(champion=version.id), {version.id: loaded.pipeline})

    def logged(self) -> list[Prediction]:
        ends = self.runtime.predictions.ends()
        return [
            prediction_of(record)
            for piece in self.runtime.predictions.read((0,) * len(ends), 10_000)
            for record in piece.records
        ]


@pytest.fixture(scope="session")
def theatre_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the home of a theatre that has learned."""
    folder = tmp_path_factory.mktemp("theatre")
    one = Theatre(folder)
    one.fill()
    one.learn()
    one.runtime.state.close()
    one.runtime.feature_state.close()
    return folder


def opened(home: Path, folder: Path, features: str = FEATURES) -> Theatre:
    """A theatre that has learned, its own copy of the home, with these features declared now."""
    shutil.copytree(home / "home", folder / "home")
    one = Theatre(folder, features)
    one.clock.move_to_us(START_US + DAYS * DAY_US)
    return one


@pytest.fixture
def theatre(theatre_home: Path, tmp_path: Path) -> Theatre:
    return opened(theatre_home, tmp_path)
