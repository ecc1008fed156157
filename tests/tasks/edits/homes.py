"""Small applications of each kind, with a home that was filled and learned from before the file is edited."""

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from tests.provenance.conftest import APP as CINEMA
from tests.tasks.predict import edited
from tests.tasks.predict.edited import DAY_US, NOW_US, START_US, EditedHome

from flyball.simulation import ingest_pieces

TAIL = """

import msgspec

TASK = ARGUMENTS["task"]


def with_app(**changes):
    global TASK
    ARGUMENTS.update(changes)
    TASK = ARGUMENTS["task"]
    return fb.App(**ARGUMENTS)


def with_task(**changes):
    return with_app(task=msgspec.structs.replace(TASK, **changes))


def with_part(key, **changes):
    return with_task(**{key: msgspec.structs.replace(getattr(TASK, key), **changes)})


def with_rule(key, **changes):
    return with_app(**{key: msgspec.structs.replace(ARGUMENTS[key], **changes)})


app = with_app()
"""

CHECKED = """
class Checked(fb.Event):
    payment: PaymentId
    fraud: bool


class Rechecked(fb.Event):
    payment: PaymentId
    fraud: bool


Fraud = fb.joined"""

PARCELS = """
from typing import Annotated

import flyball as fb

ParcelId = Annotated[int, fb.Ref("parcel"), fb.integer(1)]


class Parcel(fb.Event):
    parcel: ParcelId
    km: float
    shop: str


class Arrived(fb.Event):
    parcel: ParcelId
    state: str = "whole"
    packing: str = "whole"


class Lost(fb.Event):
    parcel: ParcelId
"""

PAID = 'fb.sum(Payment, lambda p: p.amount, "7d", where=lambda p: p.risk > -3, scale=0.01)'
MIX = 'fb.ratio(fb.count(Payment, "2d"), fb.count(Payment, "7d"))'
RECENT = 'fb.count(Payment, fb.exact("6h", max_events=900))'

DELIVERIES = (
    PARCELS
    + """
ARGUMENTS = dict(
    name="deliveries",
    events=[Parcel, Arrived, Lost],
    task=fb.Predict(
        on=Parcel,
        target=fb.elapsed(Arrived, by="parcel", within="6h", unit="m"),
        kind="quantiles",
        quantiles=(0.1, 0.5, 0.9),
    ),
    candidates={"medians": fb.GroupMedian("shop")},
    gates=fb.gates(min_examples=20),
)
"""
)

STATES = (
    PARCELS
    + """
ARGUMENTS = dict(
    name="states",
    events=[Parcel, Arrived, Lost],
    task=fb.Predict(
        on=Parcel,
        target=fb.target_value(
            Arrived,
            lambda a: a.state,
            classes=("whole", "damaged"),
            by="parcel",
            within="6h",
            where=lambda a: a.packing != "torn",
        ),
        ignore=("hour", "weekday"),
    ),
    candidates={"linear": fb.Linear()},
    gates=fb.gates(min_examples=20),
)
"""
)

LABELS = (
    PARCELS
    + """
ARGUMENTS = dict(
    name="labels",
    events=[Parcel, Arrived, Lost],
    task=fb.Predict(
        on=Parcel,
        target={
            "damaged": fb.occurs(Arrived, by="parcel", within="6h", where=lambda a: a.state == "damaged"),
            "lost": fb.occurs(Lost, by="parcel", within="6h"),
        },
        ignore=("hour", "weekday"),
    ),
    candidates={"linear": fb.Linear()},
    gates=fb.gates(min_examples=20),
)
"""
)


TOGETHER = """
import numpy as np

SHARE, LEAST = 0.25, 0.5


def _damped(score):
    return score * SHARE


def _counts(data):
    users_items = np.zeros((len(data.users), len(data.items)), np.float32)
    users_items[data.user_index, data.item_index] = data.weights > LEAST
    return users_items.T @ users_items


class Together(fb.Recommender, frozen=True):
    \"\"\"What the same users watch.\"\"\"

    search_space = {"damp": (0.3, 0.5)}
    damp: float = 0.5

    def fit(self, data, seed):
        counts = _counts(data)
        return {"together": counts / np.maximum(counts.diagonal(), 1) ** self.damp}

    def score(self, learned, histories):
        scores = np.full((histories.rows, len(learned["together"])), -np.inf, np.float32)
        for row, (first, last) in enumerate(zip(histories.indptr, histories.indptr[1:])):
            if last > first:
                scores[row] = _damped(learned["together"][histories.items[first:last]].sum(axis=0))
        return scores


"""
SHARES = """
import numpy as np
from flyball.models import TabularFit, TabularModel

BOUNDS = [-1.0, 0.0, 1.0, 2.0]


class Ask:
    def __init__(self, shares, column):
        self.shares, self.column = shares, column

    def predict(self, numbers, categories):
        return self.shares[np.digitize(numbers[:, self.column], BOUNDS)][:, None]

    def contributions(self, numbers, categories):
        added = np.zeros((len(numbers), 1, numbers.shape[1] + categories.shape[1] + 1))
        added[:, 0, -1] = self.predict(numbers, categories)[:, 0]
        return added


class Shares(TabularModel, frozen=True):
    predicts = ("binary",)
    most: float = 20.0

    def fit(self, table, target, seed):
        codes = np.digitize(table.numbers[:, table.number_names.index("risk")], [-1.0, 0.0, 1.0, 2.0])
        sums = np.bincount(codes, table.target, 5) + self.most * table.target.mean()
        return TabularFit({"shares": sums / (np.bincount(codes, minlength=5) + self.most)})

    def open(self, arrays, texts, columns, target):
        numbers = [column.name for column in columns if column.kind == "number"]
        return Ask(arrays["shares"], numbers.index("risk"))


"""


def _arguments(text: str, name: str) -> str:
    """The same file with the arguments of its `fb.App` by name."""
    begins = f'app = fb.App(\n    "{name}",\n'
    assert begins in text
    return text.replace(begins, f'ARGUMENTS = dict(\n    name="{name}",\n')


def _own(text: str, model: str, candidates: str, own: str) -> str:
    """The same file with a model of its own as the only candidate."""
    assert candidates in text
    return text.replace(candidates, own).replace("ARGUMENTS = dict(", f"{model}ARGUMENTS = dict(", 1)


PAYMENTS = (
    _arguments(edited.APP, "payments")
    .replace(f"    paid={PAID},\n", "")
    .replace("Fraud = fb.joined", CHECKED.lstrip("\n"), 1)
    .replace("Refund, Fraud]", "Refund, Fraud, Checked, Rechecked]")
    .replace("reviews_per_day=8", "reviews_per_day=8, verdict=Checked")
    .replace("    frauds=", f"    paid={PAID},\n    mix={MIX},\n    frauds=")
    .replace("payments=fb.count", f"recent={RECENT},\n    payments=fb.count")
)
PROMISES = DELIVERIES.replace("(0.1, 0.5, 0.9),", "(0.1, 0.5, 0.9),\n        decide=fb.quote(late=3.0, early=1.0),")
_CINEMA = _arguments(CINEMA, "cinema").replace('"ease": fb.EASE(), "ials": fb.ImplicitALS(8), ', "") + TAIL
_MODELS = 'candidates={"item_knn": fb.ItemKNN(), "popular": fb.Popular()}'
VIEWS = (
    _arguments(CINEMA, "cinema")
    .replace('"ease": fb.EASE(), "ials": fb.ImplicitALS(8), ', "")
    .replace("class Card(", "class View(fb.Event):\n    user: User\n    film: Film\n\n\nclass Card(")
    .replace("events=[Watch, Rate]", "events=[Watch, Rate, View]")
    .replace("weak_positive=fb.outcome(Watch", "weak_positive=fb.outcome(View")
)
TEXTS = {
    "views": VIEWS + TAIL,
    "payments": PAYMENTS + TAIL,
    "deliveries": DELIVERIES + TAIL,
    "promises": PROMISES + TAIL,
    "states": STATES + TAIL,
    "labels": LABELS + TAIL,
    "cinema": _CINEMA,
    "own": _own(_CINEMA, TOGETHER, _MODELS, 'candidates={"together": Together()}'),
    "own table": _own(PAYMENTS + TAIL, SHARES, '{"linear": fb.Linear()}', '{"shares": Shares()}'),
}


def parcels() -> list[bytes]:
    """Parcels of three shops: the farther the longer, some damaged, some lost."""
    rng, timed = np.random.default_rng(5), []
    for number in range(1, 601):
        at_us = START_US + number * (edited.DAYS * DAY_US // 601)
        shop, km = str(rng.choice(["a", "b", "c"])), round(float(rng.uniform(1, 20)), 2)
        timed.append((at_us, {"type": "parcel", "parcel": number, "km": km, "shop": shop}))
        took_us = int((km * 4 + "abc".index(shop) * 20 + rng.uniform(0, 30)) * 60_000_000)
        if rng.random() < (0.6 if shop == "c" else 0.03):
            timed.append((at_us + took_us, {"type": "lost", "parcel": number}))
            continue
        states = ["damaged" if rng.random() < (0.9 if km > 10 else 0.1) else "whole" for _ in range(2)]
        timed.append((at_us + took_us, {"type": "arrived", "parcel": number, "state": states[0], "packing": states[1]}))
    return _lines(timed)


def films() -> list[bytes]:
    """Users of two groups who watch films of one half, and rate some."""
    rng, timed = random.Random(1), []
    for film in range(30):
        timed.append((START_US, {"type": "card", "film": f"f{film}", "half": str(film % 2)}))
    for user in range(1, 61):
        timed.append((START_US, {"type": "viewer", "user": user, "age": 20 + user % 40}))
        mine = [film for film in range(30) if film % 2 == (user % 5 == 0)]
        for day, film in enumerate(rng.sample(mine, 10)):
            at_us = START_US + day * DAY_US + user * 1_000_000
            timed.append((at_us, {"type": "watch", "user": user, "film": f"f{film}", "minute": 40}))
            if film % 3 == 0:
                timed.append((at_us + 1, {"type": "rate", "user": user, "film": f"f{film}", "stars": 1 + film % 5}))
    return _lines(timed)


def views() -> list[bytes]:
    """The same, and a view of a film before each is watched."""
    watched = [msgspec.json.decode(line) for line in films()]
    looked = [
        {"type": "view", "user": event["user"], "film": event["film"], "at": event["at"] - 1_000}
        for event in watched
        if event["type"] == "watch"
    ]
    return _lines([(event.pop("at"), event) for event in (*watched, *looked)])


def _lines(timed: list[tuple[int, dict[str, object]]]) -> list[bytes]:
    ordered = sorted(timed, key=lambda pair: pair[0])
    return [msgspec.json.encode({**fields, "at": at_us}) for at_us, fields in ordered if at_us < NOW_US]


def _parcel_requests() -> list[dict[str, object]]:
    return [{"parcel": 90_000 + n, "km": 3.0 + n, "shop": "abc"[n % 3]} for n in range(4)]


HISTORIES: dict[str, Callable[[], list[bytes]]] = {
    "payments": edited.lines,
    "deliveries": parcels,
    "promises": parcels,
    "states": parcels,
    "labels": parcels,
    "cinema": films,
    "own": films,
    "own table": edited.lines,
    "views": views,
}
REQUESTS: dict[str, Callable[[], list[dict[str, object]]]] = {
    "payments": lambda: edited.requests()[2:6],
    "deliveries": _parcel_requests,
    "promises": _parcel_requests,
    "states": _parcel_requests,
    "labels": _parcel_requests,
    "cinema": lambda: [{"user": user} for user in (1, 2, 3)],
    "own": lambda: [{"user": user} for user in (1, 2, 3)],
    "own table": lambda: edited.requests()[2:6],
    "views": lambda: [{"user": user} for user in (1, 2, 3)],
}


def learned(folder: Path, name: str) -> EditedHome:
    """A home of the application with a champion that has answered."""
    home = EditedHome.learned(folder, TEXTS[name], HISTORIES[name]())
    if name == "deliveries":
        _move_interval(home)
    return home


def _move_interval(home: EditedHome) -> None:
    """Sixty answers, each too low by hours: their outcomes widen the interval of those that come after."""
    asked = [{"parcel": 80_000 + n, "km": 3.0, "shop": "a"} for n in range(60)]
    home.answers(asked)
    late: list[bytes] = []
    for number, fields in enumerate(asked):
        at_us = NOW_US + number
        late.append(msgspec.json.encode({"type": "parcel", **fields, "at": at_us}))
        late.append(
            msgspec.json.encode({"type": "arrived", "parcel": fields["parcel"], "at": at_us + 5 * 3_600_000_000})
        )
    home.clock.advance_us(6 * 3_600_000_000)
    ingest_pieces(home.runtime, "jsonl", [b"\n".join(late)], "late", "history")
    home.follow()
