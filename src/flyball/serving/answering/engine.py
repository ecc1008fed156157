"""From asks to answers, down the ladder: pure steps, the same under HTTP, in virtual time and in a replay."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from flyball.events import Offsets
from flyball.outcomes import Prediction
from flyball.releases import ReleaseState, Route, route
from flyball.serving.answering.fallback import Listed, Memory
from flyball.serving.answering.feature_stamp import with_features
from flyball.serving.answering.request import Ask
from flyball.state import Catalog
from flyball.tasks import Featured, Query, Shown, UserHistory

ReadHistories = Callable[[Sequence[str]], tuple[list[UserHistory], Offsets]]
Note = Callable[[str, str, object], None]
"""(kind, subject, reason) of a failure that a lower rung made up for."""


class Answering(Protocol):
    """A version's pipeline: lists for a batch, each the same whatever else is in the batch."""

    def answer(
        self, queries: Sequence[Query], user_histories: Sequence[UserHistory], catalog: Catalog | None
    ) -> list[list[Shown]]: ...


class Serving(msgspec.Struct, frozen=True):
    """All that answers are made from at one moment; replaced whole, never changed.

    `pipelines`: the loaded versions. `refused`: {version: why it is out of service}. `memory`: the lists that need
    neither version nor store. `catalog_offsets`: the events behind `catalog`, () when it changed while it was read.
    """

    release: ReleaseState = ReleaseState()
    pipelines: dict[str, Answering] = {}
    refused: dict[str, str] = {}
    memory: Memory = Memory()
    catalog: Catalog | None = None
    catalog_offsets: Offsets = ()


class Progress:
    """Which version a scoring thread is at, for whoever watches it; "" while it reads."""

    __slots__ = ("version",)

    def __init__(self) -> None:
        self.version = ""


class Engine:
    """Answers asks from `serving`, which may be replaced between calls.

    An answer is a function of the ask, the state that `read` gives and `serving`: no clock, no other randomness than
    the seed in the ask's id. `stale_us` is copied into the answers. `note` is told of every failure.
    """

    def __init__(self, read: ReadHistories, note: Note, serving: Serving | None = None) -> None:
        self._read, self._note = read, note
        self.serving = serving or Serving()
        self.stale_us = 0

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Prediction]:
        """One stamped answer for each ask, down the ladder: chosen version, champion, previous champion, the list of
        the user's group, what is popular, the catalogue's order. Never raises for what a version or a store does."""
        serving, progress = self.serving, progress or Progress()
        progress.version = ""
        routes = [route(serving.release, ask.user) for ask in asks]
        histories, offsets = self._histories(asks)
        found: list[tuple[str, str, list[Shown]] | None] = [None] * len(asks)
        if histories is not None:
            self._score(serving, asks, routes, histories, found, progress)
        answers = []
        for place, ask in enumerate(asks):
            history = None if histories is None else histories[place]
            made = found[place]
            listed = serving.memory.lists(ask, history) if made is None else _of_version(*made)
            answers.append(_stamp(ask, routes[place], listed, offsets, serving.catalog_offsets, self.stale_us))
        return answers

    def from_memory(self, ask: Ask) -> Prediction:
        """An answer that reads no store and asks no version: quick, and safe to ask from any thread."""
        serving = self.serving
        chosen = route(serving.release, ask.user)
        return _stamp(ask, chosen, serving.memory.lists(ask, None), (), serving.catalog_offsets, self.stale_us)

    def _histories(self, asks: Sequence[Ask]) -> tuple[list[UserHistory] | None, Offsets]:
        try:
            return self._read([ask.user for ask in asks])
        except Exception as error:  # whatever is wrong with the store, the lists in memory can answer
            self._note("state", "store", error)
            return None, ()

    def _score(
        self,
        serving: Serving,
        asks: Sequence[Ask],
        routes: Sequence[Route],
        histories: Sequence[UserHistory],
        found: list[tuple[str, str, list[Shown]] | None],
        progress: Progress,
    ) -> None:
        rungs = [_rungs(serving, chosen) for chosen in routes]
        for depth in range(max(map(len, rungs), default=0)):
            turns: dict[str, list[int]] = {}
            for place, rung in enumerate(rungs):
                if found[place] is None and depth < len(rung):
                    turns.setdefault(rung[depth], []).append(place)
            for version, places in turns.items():
                progress.version = version
                lists = self._lists(serving, version, places, asks, histories)
                progress.version = ""
                level = _level(serving.release, version)
                for place, shown in zip(places, lists, strict=True):
                    if shown is not None:
                        found[place] = (version, level, shown)

    def _lists(
        self,
        serving: Serving,
        version: str,
        places: Sequence[int],
        asks: Sequence[Ask],
        histories: Sequence[UserHistory],
    ) -> list[list[Shown] | None]:
        """The version's lists, None for what it could not answer; a batch that raises is tried one by one."""
        try:
            queries = [_query(asks[place]) for place in places]
            lists = serving.pipelines[version].answer(queries, [histories[place] for place in places], serving.catalog)
        except Exception as error:  # a version may raise anything; the ladder goes on
            self._note("score", version, error)
            if len(places) == 1:
                return [None]
            return [self._lists(serving, version, [place], asks, histories)[0] for place in places]
        if len(lists) != len(places):
            self._note("wrong", version, f"{len(lists)} lists for {len(places)} asks")
            return [None] * len(places)
        return [self._checked(version, asks[place], shown) for place, shown in zip(places, lists, strict=True)]

    def _checked(self, version: str, ask: Ask, shown: list[Shown]) -> list[Shown] | None:
        if not shown and not ask.filtered:
            self._note("wrong", version, "an empty list")
            return None
        if not all(math.isfinite(each.score) for each in shown):
            self._note("wrong", version, "scores that are not finite numbers")
            return None
        return shown


def _rungs(serving: Serving, chosen: Route) -> list[str]:
    """The loaded versions to try, best first."""
    release = serving.release
    wanted = dict.fromkeys((chosen.version, release.champion or "", release.previous or ""))
    return [version for version in wanted if version in serving.pipelines]


def _level(release: ReleaseState, version: str) -> str:
    if version == release.champion:
        return "champion"
    return "previous" if version == release.previous else "chosen"


def _query(ask: Ask) -> Query:
    return Query(ask.user, ask.k, ask.include, ask.exclude, list(ask.without), ask.at_us, ask.seed)


def _of_version(version: str, level: str, shown: list[Shown]) -> Listed:
    return Listed(
        level,
        version,
        [each.item for each in shown],
        [each.score for each in shown],
        [each.source for each in shown],
        reading=shown.reading if isinstance(shown, Featured) else None,
    )


def _stamp(ask: Ask, chosen: Route, listed: Listed, offsets: Offsets, catalog: Offsets, stale_us: int) -> Prediction:
    answer = Prediction(
        id=ask.id,
        at_us=ask.at_us,
        user=ask.user,
        k=ask.k,
        items=listed.items,
        scores=listed.scores,
        sources=listed.sources,
        version=listed.version,
        arm=chosen.arm,
        propensity=chosen.propensity,
        level=listed.level,
        offsets=offsets,
        stale_us=stale_us,
        include=ask.include,
        exclude=ask.exclude,
        without=list(ask.without),
        seed=ask.seed,
        catalog=catalog,
        lists=listed.offsets,
    )
    return answer if listed.reading is None else with_features(answer, listed.reading)
