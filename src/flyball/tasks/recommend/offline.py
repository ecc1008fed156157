"""The offline interface of recommendations: examples, fitting and evaluating candidates."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from flyball.core import BadInput, Ints, format_timestamp
from flyball.events import Schema, logged_types
from flyball.models import (
    Artifact,
    Interactions,
    Learned,
    Recommender,
    histories_of,
    select_rows,
    share_of_users,
    take,
    updates,
)
from flyball.policy import outcome_words, parse_metric
from flyball.tasks.evaluation import EvaluationPlan, EvaluationSet
from flyball.tasks.feature_hashes import check_hashes
from flyball.tasks.past import Past
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.fallback import fallback_arrays
from flyball.tasks.recommend.inverse_propensity import weighted_by_propensity
from flyball.tasks.recommend.plan import evaluation_plan
from flyball.tasks.recommend.request import BadScores
from flyball.tasks.recommend.training_data import interactions_of, training_data
from flyball.tasks.task import Examples, Holdout, Trained, TrainingData

if TYPE_CHECKING:
    import polars

    from flyball.tasks.recommend.evaluation_set import ItemExposure

_PROBED = 3
_SHOWN_BEFORE_US = 86_400_000_000
"""An item that was shown up to a day before it was liked may have been liked because of it."""


class RecommendOffline:
    """Learns and evaluates recommendations of one task."""

    def __init__(self, task: Recommend) -> None:
        self._task = task
        profiles = [entity.profile for entity in task.entities if entity.profile is not None]
        types = dict.fromkeys((*logged_types(task.event_types), *task.event_types, *profiles))
        self._schema = Schema(tuple(types))

    def plan(self) -> EvaluationPlan:
        """Metrics, baselines and gates."""
        return evaluation_plan(self._task)

    def examples(
        self,
        past: Past,
        min_examples: int,
        seed: int,
        metrics: Sequence[str],
        window_us: tuple[int, int] | None = None,
    ) -> Examples | str:
        """The interactions known before the holdout and now, and the requests of users in the holdout."""
        from flyball.tasks.recommend.evaluation_set import evaluation_set  # an application is declared without them
        from flyball.tasks.recommend.holdout import holdout_in, holdouts
        from flyball.tasks.recommend.interactions import build_interactions

        frames = self._frames(past)
        full = build_interactions(frames, self._task, self._schema, past.as_of_us)
        windows, pool = holdouts(full) if window_us is None else [holdout_in(full, window_us)], 0
        if not windows:
            positives = int((full.weights >= 1).sum())
            pair = f"one {self._task.user.name} and {self._task.item.name}"
            return (
                f"too little to learn from: positives must lie at two times or more, got {positives} positives; a "
                f"positive is {outcome_words(self._task.positive)} of {pair}"
            )
        for window in windows:
            train = build_interactions(frames, self._task, self._schema, window.start_us - 1)
            evaluation = evaluation_set(
                frames,
                self._task,
                self._schema,
                train,
                (window.start_us, window.end_us),
                seed=seed,
                apply_delay_us=past.lag.state_us,
                min_examples=min_examples,
                ips=self._corrected(metrics),
                exposure=_exposure(past, window),
                cutoff=self.plan().largest_cutoff(metrics),
            )
            pool = evaluation.pool
            if pool >= min_examples:
                break
        else:
            return (
                f"too little to evaluate on: the test window must hold {min_examples} users with new positives, "
                f"got {pool} even in the widest ({windows[-1].share:.0%} of the positives)"
            )
        if not (train.weights >= 1).any():
            return (
                f"nothing to learn from: no positive was known before the test window, which starts at "
                f"{format_timestamp(window.start_us)}; "
                "events that happened long ago must be ingested as history, not as live"
            )
        summary = _summary(train, evaluation, window.start_us)
        before = training_data(train)
        return Examples(before, before if window_us else training_data(full), evaluation, window, summary)

    def groups_of_requests(
        self, past: Past, requests: Sequence[Mapping[str, Any]], at_us: Ints
    ) -> Mapping[str, Sequence[str | None]]:
        """The groups of the users of requests that were answered, as known and applied at `at_us`."""
        from flyball.tasks.recommend.user_groups import groups_of_users

        return groups_of_users(past, self._task.user, self._schema, self._task.groups, requests, at_us)

    def count_labels(self, past: Past, as_of_us: int) -> int:
        """The positive pairs of user and item that were known at `as_of_us`."""
        from flyball.tasks.recommend.interactions import build_interactions

        known = build_interactions(self._frames(past), self._task, self._schema, as_of_us)
        return int((known.weights >= 1).sum())

    def train(self, candidate: Recommender, data: TrainingData, past: Past, seed: int) -> Trained:
        """Fit one candidate.

        Raises `BadInput` for arrays that an artifact cannot contain, `BadScores` for scores that are not repeatable.
        """
        interactions = interactions_of(data)
        learned = self._fit(candidate, self._weighted(interactions, past), past, seed)
        if isinstance(learned, Mapping) and not candidate.feature_hashes:  # these score only within a pipeline
            check_scores(candidate, learned, interactions)
        extended = {**fallback_arrays(interactions), **learned} if isinstance(learned, Mapping) else learned
        return Trained(extended, {"items": interactions.items}, candidate.note(interactions))

    def unable_to_continue(self, candidate: Recommender) -> str:
        """A model needs `update`; one that reads several past times or features learns from everything."""
        if not updates(candidate):
            return f"{type(candidate).__name__} cannot continue from what it learned"
        reads = candidate.needs_past or candidate.feature_hashes
        return f"{type(candidate).__name__} learns from several past times" if reads else ""

    def unseen(self, data: TrainingData, learned_us: int, examples: int) -> int | str:
        """The interactions since then; an `update` reads all of them, so earlier ones may change."""
        return int((self.example_times(data) > learned_us).sum())

    def _weighted(self, interactions: Interactions, past: Past) -> Interactions:
        """The interactions as models learn from them: weighted by what was shown until then, if the task says so."""
        if not self._task.propensity_cap:
            return interactions
        shown, _ = past.shown(interactions.users, 0, interactions.as_of_us + 1)
        return weighted_by_propensity(interactions, shown, self._task.propensity_cap)

    def continued(
        self, candidate: Recommender, learned: Artifact, learned_us: int, data: TrainingData, seed: int
    ) -> Trained:
        """What the candidate had learned, brought up to date; without weights by propensity, since an update does not
        read what was shown. Raises `BadInput` for a model without `update`."""
        if not updates(candidate):
            raise BadInput("a model that continues", "one with update", type(candidate).__name__)
        interactions = interactions_of(data)
        updated = candidate.update(learned.arrays, learned.items, interactions, seed)
        arrays = {**fallback_arrays(interactions), **updated}
        return Trained(arrays, {"items": interactions.items}, candidate.note(interactions))

    def share(self, data: TrainingData, share: float, seed: int) -> TrainingData:
        """The interactions of a random share of the users; items and users keep their numbers."""
        return training_data(share_of_users(interactions_of(data), share, seed))

    def example_times(self, data: TrainingData) -> Ints:
        """The time of each interaction."""
        return data.arrays["at_us"]

    def since(self, data: TrainingData, from_us: int) -> TrainingData:
        """The interactions from `from_us` on; items and users keep their numbers."""
        interactions = interactions_of(data)
        return training_data(select_rows(interactions, interactions.at_us >= from_us))

    def _fit(self, candidate: Recommender, interactions: Interactions, past: Past, seed: int) -> Learned:
        if not candidate.needs_past:
            return candidate.fit(interactions, seed)
        from flyball.tasks.recommend.ranking_dataset import RankingDataset

        check_hashes(self._task.feature_hashes, candidate.feature_hashes)
        present = np.unique(interactions.user_index)
        users = None if len(present) == len(interactions.users) else [interactions.users[row] for row in present]
        dataset = RankingDataset(self._task, self._schema, self._frames(past), candidate, interactions, past.lag, users)
        return candidate.fit_past(dataset, seed)

    def _frames(self, past: Past) -> "dict[str, polars.DataFrame]":
        return {name: past.events(name) for name in (*self._schema.types, *self._schema.joined)}

    def _corrected(self, metrics: Sequence[str]) -> bool:
        """Whether any of the metrics is weighted by inverse propensity."""
        corrected = set(self.plan().corrected.values())
        return any(parse_metric(name).family in corrected for name in metrics)


def _summary(train: Interactions, evaluation: EvaluationSet, start_us: int) -> str:
    return (
        f"{len(train.user_index):,} pairs of {len(train.users):,} users and {len(train.items):,} items; evaluated on "
        f"{len(evaluation.at_us):,} requests of {len(evaluation.units):,} users after {format_timestamp(start_us)}"
    )


def _exposure(past: Past, window: Holdout) -> Any:
    """The items shown in the window and a day before it, which may have led to positives, with their times."""

    def read(users: Collection[str]) -> "ItemExposure":
        exposure: ItemExposure = past.shown(users, window.start_us - _SHOWN_BEFORE_US, window.end_us)
        return exposure

    return read


def check_scores(model: Recommender, learned: Learned, data: Interactions) -> None:
    """Score a few users together and each alone; the bits must be the same, or answers could not be replayed.

    A model that crashes its process crashes this one and not the evaluation. Raises `BadScores` for different bits.
    """
    if not all(isinstance(array, np.ndarray) for array in learned.values()):
        return  # saving the artifact raises the error
    frozen = {name: array.view() for name, array in learned.items()}
    for array in frozen.values():
        array.flags.writeable = False
    batch = histories_of(data, np.unique(data.user_index)[:_PROBED])
    together = model.score(frozen, batch)
    if not isinstance(together, np.ndarray) or together.shape != (batch.rows, len(data.items)):
        return  # the pipeline raises the error
    for row in range(batch.rows):
        alone = model.score(frozen, take(batch, [row]))
        if not isinstance(alone, np.ndarray) or alone.tobytes() != together[row : row + 1].tobytes():
            raise BadScores(type(model).__name__, "the same bits each time and in any batch", "others for a user alone")
