"""A small shop whose right recommendation is known: people like the things of their own half, one after another."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.learning import BacktestReport
from flyball.runtime import Runtime, load_settings

DAY_US = 86_400_000_000
START_US = 1_700_000_000_000_000
USERS, ITEMS, LIKES = 80, 40, 14

APP = '''
"""A shop."""
import os
import threading
from typing import Annotated

import numpy as np
import flyball as fb

User = Annotated[str, fb.Ref("user"), fb.text(max_length=40)]
Thing = Annotated[str, fb.Ref("thing"), fb.text(max_length=40)]


class Liked(fb.Event):
    """Somebody likes something."""

    user: User
    thing: Thing


class Together(fb.Recommender, frozen=True):
    """What is liked together."""

    shrink: float = 1.0
    turned: bool = False

    def fit(self, data, seed):
        liked = np.zeros((len(data.users), len(data.items)), np.float32)
        liked[data.user_index, data.item_index] = data.weights > 0
        counts = liked.T @ liked
        shares = counts / (counts.diagonal() + self.shrink)[None, :]
        return {"together": (-shares if self.turned else shares).astype(np.float32)}

    def score(self, learned, histories):
        scores = np.full((histories.rows, len(learned["together"])), -np.inf, np.float32)
        for row in range(histories.rows):
            items = histories.items[histories.indptr[row] : histories.indptr[row + 1]]
            if len(items):
                scores[row] = learned["together"][:, items].sum(axis=1)
        return scores


class Broken(fb.Recommender, frozen=True):
    """Fails as it is reported."""

    how: str = "raise"

    def fit(self, data, seed):
        if self.how == "raise":
            raise ValueError("no convergence")
        if self.how == "hang":
            threading.Event().wait()
        if self.how == "exit":
            os._exit(7)
        if self.how == "objects":
            return {"x": np.array([{}], dtype=object)}
        if self.how == "full disk":
            raise OSError(28, "No space left on device")
        if self.how == "later" and len(data.at_us) > WHOLE:
            raise ValueError("only the whole is too much")
        return {"x": np.zeros(len(data.items), np.float32)}

    def score(self, learned, histories):
        if self.how == "nan":
            return np.full((histories.rows, len(learned["x"])), np.nan, np.float32)
        if self.how == "score exits":
            os._exit(8)
        if self.how == "score raises":
            raise ZeroDivisionError("in score")
        return np.tile(np.arange(len(learned["x"]), dtype=np.float32), (histories.rows, 1))


WHOLE = 900


def make_app(
    broken: str = "",
    only: str = "",
    turned: bool = False,
    shrink: float = 1.0,
    max_loss: float = 0.05,
    ranked: bool = False,
) -> fb.App:
    user = fb.Entity("user")
    thing = fb.Entity("thing", likes=fb.count(Liked, "7d")) if ranked else fb.Entity("thing")
    candidates = {"popular": fb.Popular(), "together": Together(shrink, turned)}
    for how in [each for each in broken.split(",") if each]:
        candidates["broken-" + how.replace(" ", "-")] = Broken(how)
    if ranked:
        small = fb.LambdaMART(n_estimators=5, min_data_in_leaf=5)
        candidates["ranked"] = fb.Stages((Together(shrink, turned),), rank=small, features=("thing",), cuts=2)
    if only:
        candidates = {only: candidates[only]}
    return fb.App(
        "shop",
        events=[Liked],
        task=fb.Recommend(user, thing, positive=fb.outcome(Liked, within="1d"), k=5, cold_start_slots=0),
        candidates=candidates,
        choose=fb.best("ndcg@5"),
        gates=fb.gates(min_examples=20, max_loss=max_loss, max_answer="10s", max_fit="20s"),
    )


app = make_app()
'''


class Shop:
    """A home with the application in a file, a clock moved by hand and a log to fill."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, ManualClock(START_US)
        self.file = folder / "shop.py"
        self.file.write_text(APP)

    def open(self, **options: Any) -> Runtime:
        settings = load_settings(self.folder / "home", options={"app": options})
        return Runtime(load_app(str(self.file), options), settings, self.clock)

    def another(self, name: str) -> Runtime:
        """Another home with the same application and the same events."""
        settings = load_settings(self.folder / name)
        runtime = Runtime(load_app(str(self.file)), settings, self.clock)
        self.likes(runtime)
        return runtime

    def likes(
        self,
        runtime: Runtime,
        users: int = USERS,
        days: int = 14,
        seed: int = 1,
        day: int = 0,
        known_us: int | None = None,
    ) -> None:
        """Every user likes one more thing of their half each day, from `day` on; known as it happens.

        Of five users four belong to the first half, so its things are the popular ones.
        """
        rng = random.Random(seed)
        records = []
        for user in range(users):
            mine = [thing for thing in range(ITEMS) if thing % 2 == (user % 5 == 0)]
            for nth, thing in enumerate(rng.sample(mine, days)):
                at = START_US + (day + nth) * DAY_US + user * 1_000_000
                fields = {"user": f"u{user}", "thing": f"t{thing}"}
                records.append(runtime.schema.check("liked", fields, at, known_us or at))
        runtime.log.append(records)
        self.clock.move_to_us(max(self.clock.now_us(), START_US + (day + days) * DAY_US))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def filled(shop: Shop) -> Callable[..., Runtime]:
    """A runtime of the shop with two weeks of likes in its log."""

    def make(**options: Any) -> Runtime:
        runtime = shop.open(**options)
        shop.likes(runtime)
        return runtime

    return make


def timeless(report: BacktestReport) -> BacktestReport:
    """The report of a backtest without what was measured by a stopwatch."""
    policies = [replace(result, seconds=0.0, ratio=None) for result in report.policies]
    return replace(report, policies=policies, seconds=0.0)
