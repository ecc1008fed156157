"""Visitors of a small shop: each has one or two favorite categories, looks at items and buys some."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from flyball.core import BadInput, Doubles, parse_duration
from flyball.events import Event, Profile, Schema
from flyball.simulation.world import DAY_US, Timeline, TrueOutcome, WorldBatch, WorldRequest
from flyball.simulation.worlds.shop.fields import MAX_PRICE, LineWriter, Thing
from flyball.tasks import RankedItem, Response

CATEGORIES = ("garden", "kitchen", "music", "sport", "toys")
FAVORITE, OTHER = 0.6, 0.04
"""The probability that a visitor wants an item of a favorite category, or of another, times the item's own appeal."""
BUY_SHARE = 0.5
"""The probability that a visitor who examines an item and wants it buys it."""
IDLE_VIEWS = 0.1
"""The probability that a visitor who examines an item and does not want it views it."""
ATTENTION_DECAY = 0.85
"""The item at rank r (from 0) of a list is examined with a probability of this to the power of r."""
SEARCH_VIEWS = 2
"""Items that a visitor finds without the list in a visit: rather popular and wanted ones."""


class ShopWorld:
    """Visitors of a shop who request lists, view some items and buy some.

    `view`, `buy`: event types of the application; their first Ref is the visitor, the second the item. `card`: the
    profile of an item. `users`, `items`: how many. `k`: items of a list. `within`: the time after an answer within
    which a purchase counts, as `positive` of the task declares it.

    True outcome: `positive`, an item of the list was bought. True metrics: `wanted`, the mean probability that the
    visitor wants an item of the list; `bought`, the probability that an item of the list is bought in this visit.
    """

    def __init__(
        self,
        *,
        seed: int,
        start_us: int,
        view: type[Event],
        buy: type[Event],
        card: type[Profile] | None = None,
        users: int = 300,
        items: int = 120,
        k: int = 10,
        visits_a_day: float = 1.0,
        within: str = "7d",
    ) -> None:
        if users < 1 or items < len(CATEGORIES):
            raise BadInput("users and items", f"1 or more and {len(CATEGORIES)} or more", (users, items))
        draw, self.rng = (np.random.default_rng([seed, part]) for part in range(2))
        self._reference_rng = np.random.default_rng([seed, 2])
        schema = Schema([view, buy] if card is None else [view, buy, card])
        (_, people), (_, goods) = schema.types[buy.__name__.lower()].refs[:2]
        self._view, self._buy = (LineWriter(event, schema, people, goods) for event in (view, buy))
        self._card = None if card is None else LineWriter(card, schema, None, goods)
        self._things = _things(draw, items, _is_integer(schema, buy, goods))
        self._index = {str(thing.id): index for index, thing in enumerate(self._things)}
        fond = draw.random((users, len(CATEGORIES))).argsort(axis=1) < draw.integers(1, 3, size=(users, 1))
        kinds = np.arange(items) % len(CATEGORIES)
        appeal = draw.uniform(0.5, 1.0, size=items)
        self._wants = np.where(fond[:, kinds], FAVORITE, OTHER) * appeal
        self._known = appeal / (1.0 + draw.permutation(items))
        self._visits = visits_a_day * users
        self._k, self._within_us = k, parse_duration(within)
        self._now_us, self._begun, self._numbers = start_us, False, 0
        self._acts: list[tuple[int, LineWriter, int, int]] = []  # when, what, user, item
        self._outcomes: list[TrueOutcome] = []
        self._shown: dict[tuple[int, int], list[WorldRequest]] = {}

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        count = self.rng.poisson(self._visits * (until_us - self._now_us) / DAY_US)
        at_us = np.sort(self.rng.integers(self._now_us, until_us, size=count)).tolist()
        users = self.rng.integers(1, len(self._wants) + 1, size=count).tolist()
        first, self._numbers = self._numbers, self._numbers + count
        return [
            WorldRequest(first + n, at, {"user": user}) for n, (at, user) in enumerate(zip(at_us, users, strict=True))
        ]

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        for request, response in zip(requests, responses, strict=True):
            shown = [] if response is None else self._indices(response)
            for item in shown:
                self._shown.setdefault((request.fields["user"], item), []).append(request)
            if response is not None:
                self._outcomes.append(TrueOutcome(request.number, "positive", 0.0))
            looks = self.rng.random(len(shown)) < ATTENTION_DECAY ** np.arange(len(shown))
            self._visit(request, [item for item, look in zip(shown, looks.tolist(), strict=True) if look])

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        if not self._begun:
            self._begun = True
            card = self._card
            lines = [] if card is None else [card.line(timeline.written(self._now_us), thing) for thing in self._things]
            return WorldBatch([("jsonl", lines)])
        self._acts.sort(key=lambda act: act[0])
        due = [act for act in self._acts if act[0] < until_us]
        self._acts = self._acts[len(due) :]
        for at_us, kind, user, item in due:
            if kind is self._buy:
                self._count(user, item, at_us)
        outcomes, self._outcomes, self._now_us = self._outcomes, [], until_us
        lines = [kind.line(timeline.written(at_us), self._things[item], user) for at_us, kind, user, item in due]
        planted = Counter(kind.name for _, kind, _, _ in due)
        return WorldBatch([("jsonl", lines)] if lines else [], planted, outcomes, bool(self._acts))

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Doubles]:
        value_wanted, bought = np.zeros((2, len(requests)))
        for row, (request, response) in enumerate(zip(requests, responses, strict=True)):
            shown = self._indices(response)[: self._k]
            wants = self._wants[request.fields["user"] - 1, shown]
            value_wanted[row] = wants.sum() / self._k
            bought[row] = 1.0 - np.prod(1.0 - BUY_SHARE * wants * ATTENTION_DECAY ** np.arange(len(shown)))
        return {"wanted": value_wanted, "bought": bought}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        k, wants = self._k, self._wants
        popular = wants.mean(axis=0).argsort()[::-1][:k]
        return {
            "oracle": [self._response(wants[request.fields["user"] - 1].argsort()[::-1][:k]) for request in requests],
            "popular": [self._response(popular)] * len(requests),
            "random": [self._response(self._reference_rng.permutation(len(self._things))[:k]) for _ in requests],
        }

    def _visit(self, request: WorldRequest, looked: list[int]) -> None:
        """Let one visitor view and buy items of the list, and items found without it."""
        user, rng = request.fields["user"], self.rng
        wants = self._wants[user - 1]
        alone = rng.choice(len(wants), size=SEARCH_VIEWS, p=self._known * wants / (self._known * wants).sum())
        at_us = request.at_us
        for item in [*looked, *alone.tolist()]:
            at_us += int(rng.integers(5_000_000, 60_000_000))
            wants_item = rng.random() < wants[item]
            if wants_item or rng.random() < IDLE_VIEWS:
                self._acts.append((at_us, self._view, user, item))
            if wants_item and rng.random() < BUY_SHARE:
                at_us += int(rng.integers(10_000_000, 120_000_000))
                self._acts.append((at_us, self._buy, user, item))

    def _count(self, user: int, item: int, at_us: int) -> None:
        """Count a purchase for the earliest answer, within its time, after which it is the first one of the item."""
        shown = self._shown.get((user, item), [])
        followed = [request for request in shown if 0 <= at_us - request.at_us <= self._within_us]
        if followed:
            self._outcomes.append(TrueOutcome(followed[0].number, "positive", 1.0))
        self._shown[user, item] = [request for request in shown if request.at_us > at_us]

    def _indices(self, response: Response) -> list[int]:
        return [self._index[item.item] for item in response.items if item.item in self._index]

    def _response(self, items: np.ndarray) -> Response:
        return Response(tuple(RankedItem(str(self._things[item].id), 0.0) for item in items.tolist()))


def _things(rng: np.random.Generator, n: int, integers: bool) -> list[Thing]:
    prices = np.exp(rng.uniform(0.7, np.log(MAX_PRICE), size=n)).tolist()
    categories = [CATEGORIES[number % len(CATEGORIES)] for number in range(n)]
    return [
        Thing(number + 1 if integers else f"{category}-{number:03d}", category, price)
        for number, (category, price) in enumerate(zip(categories, prices, strict=True))
    ]


def _is_integer(schema: Schema, event: type[Event], entity: str) -> bool:
    declared = schema.types[event.__name__.lower()].declared
    return any(field.entity == entity and field.kind is int for field in declared)
