"""The online interface of recommendations: histories as contexts, a pipeline for each version, lists in memory."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from flyball.core import FlyballError
from flyball.events import Offsets, Schema, logged_types
from flyball.models import Artifact, Recommender
from flyball.tasks.recommend.about import arranged
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.fallback_lists import FallbackLists
from flyball.tasks.recommend.item_index import ItemCatalog
from flyball.tasks.recommend.pipeline import RecommendPipeline
from flyball.tasks.recommend.state.popularity import read_popular
from flyball.tasks.recommend.state.user_history import UserHistory, read_histories
from flyball.tasks.request import Request
from flyball.tasks.task import Pipeline, Stores


class RecommendOnline:
    """Responses of one task from `stores`, live or rebuilt."""

    def __init__(self, task: Recommend, stores: Stores) -> None:
        profiles = [entity.profile for entity in task.entities if entity.profile is not None]
        self._task, self._stores = task, stores
        self._signals = task.signals(
            Schema(tuple(dict.fromkeys((*logged_types(task.event_types), *task.event_types, *profiles))))
        )
        self._catalog: ItemCatalog | None = stores.catalogs.get(task.item.name)
        self._popular: tuple[list[tuple[str, float]], Offsets] = ([], ())
        self._texts: dict[str, dict[str, tuple[str, ...]]] = {}

    def contexts(self, requests: Sequence[Request]) -> tuple[list[UserHistory], Offsets]:
        """The histories of the users of the requests, from one consistent view of the state."""
        return read_histories(self._stores.state, self._signals, [request.key for request in requests])

    def describe(self, context: UserHistory) -> str:
        """The context as text, such as "12 items of history, group F30+"."""
        history = f"{len(context.items):,} items of history" if context.items else "no history"
        return f"{history}, group {context.group}" if context.group else history

    def open(self, candidate: Recommender, artifact: Artifact, arrangement: Mapping[str, Any]) -> RecommendPipeline:
        """The pipeline of a version over the catalog, re-ranked by `arrangement`."""
        return RecommendPipeline(
            arranged(self._task, arrangement), artifact, candidate, self._catalog, self._stores.features
        )

    def fallback(self, best: Pipeline | None) -> FallbackLists:
        """The fallback from the lists of `best` by group, the present popular list, and the catalog."""
        groups = best.group_lists if isinstance(best, RecommendPipeline) else {}
        with suppress(FlyballError, OSError):  # if the store cannot be read, the last popular list remains
            self._popular = self._read_popular()
        popular, offsets = self._popular
        return FallbackLists(groups, popular, self._catalog, offsets, self._texts)

    def _read_popular(self) -> tuple[list[tuple[str, float]], Offsets]:
        """The popular list and its offsets, () if it changed while it was read."""
        state, events = self._stores.state, self._stores.events
        if events is not None:
            from flyball.tasks.recommend.state.popularity_offline import popular_of

            popular = popular_of(events(self._signals.plans), self._signals)
            return list(zip(popular.items, popular.scores, strict=True)), ()
        before, popular, after = state.offsets(), read_popular(state, self._signals), state.offsets()
        return list(zip(popular.items, popular.scores, strict=True)), after if after == before else ()
