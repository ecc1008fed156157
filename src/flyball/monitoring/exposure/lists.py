"""Logged lists of items and what users take up, as columns."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from flyball.core import Ints, Refused, SignedInts
from flyball.events import logged_types
from flyball.outcomes import Prediction, outcomes_frame, prediction_of, records_between
from flyball.runtime import Runtime
from flyball.tasks import RANDOMIZED, Recommend, known_keys, pairs_at

ListFlags = NDArray[np.bool_]
_LATEST_US = 1 << 62


class Numbered:
    """Numbers for texts, from 0 in order of appearance."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.number_of = {text: number for number, text in enumerate(texts)}

    def __len__(self) -> int:
        return len(self.number_of)

    def numbers(self, texts: Sequence[str]) -> Ints:
        """The number of each text; a new text gets the next one."""
        known = self.number_of
        return np.array([known.setdefault(text, len(known)) for text in texts], np.int64)


class ShownLists(msgspec.Struct, frozen=True, kw_only=True):
    """Lists in order of time, and the items in them.

    `at_us`, `user`, `version`: of each list, (lists,). `randomized`: whether it is of the randomized slice. `row`,
    `item`, `taken`: of each item shown, (shown,): the index of its list, its number, and whether the label of the task
    came to hold for it.
    """

    at_us: SignedInts
    user: Ints
    version: NDArray[np.object_]
    randomized: ListFlags
    row: Ints
    item: Ints
    taken: ListFlags

    def __len__(self) -> int:
        return len(self.at_us)

    def only(self, lists: ListFlags) -> "ShownLists":
        """The lists where `lists`, bool (lists,), holds."""
        number = np.cumsum(lists) - 1
        kept = lists[self.row]
        return ShownLists(
            at_us=self.at_us[lists],
            user=self.user[lists],
            version=self.version[lists],
            randomized=self.randomized[lists],
            row=number[self.row[kept]],
            item=self.item[kept],
            taken=self.taken[kept],
        )

    def between(self, since_us: int, until_us: int) -> "ShownLists":
        """The lists shown in `[since_us, until_us)`."""
        return self.only((self.at_us >= since_us) & (self.at_us < until_us))


class Consumed(msgspec.Struct, frozen=True, kw_only=True):
    """The pairs of a user and an item that have a positive or weak positive outcome.

    `at_us`: of the first event about the pair. `organic`: whether none of the lists that were read showed the item to
    the user in the time before it within which an outcome counts. `items`: how many there are in the catalog.
    """

    user: Ints
    item: Ints
    at_us: SignedInts
    organic: ListFlags
    items: int

    def popularity(self, before_us: int, items: int) -> SignedInts:
        """How many users each item had before a time, by number, (items,)."""
        return np.bincount(self.item[self.at_us < before_us], minlength=items)

    def users(self, before_us: int) -> int:
        """How many users had any item before a time."""
        return len(np.unique(self.user[self.at_us < before_us]))


def ranking_task(runtime: Runtime) -> Recommend:
    """The task, of an application that shows lists; raises `Refused` for another."""
    task = runtime.app.task
    if not isinstance(task, Recommend):
        kind = task.about.kind
        raise Refused(f"the task must show lists of items, got {kind}: exposure is how often each item is shown")
    return task


def shown_lists(
    runtime: Runtime, label: str, since_us: int, until_us: int, users: Numbered, items: Numbered
) -> ShownLists:
    """The lists shown in `[since_us, until_us)`; those of fallbacks too, as users saw them, with the version "".

    `label`: the label that says what is taken, "" to leave that out. `users`, `items`: the numbers of keys and items,
    which are added to.
    """
    answers = sorted(_answers(runtime, since_us, until_us), key=lambda answer: (answer.at_us, answer.id))
    taken = _taken(runtime, label, since_us) if label else frozenset()
    lengths = [len(answer.items) for answer in answers]
    shown = [item for answer in answers for item in answer.items]
    flags = [(answer.id, item) in taken for answer in answers for item in answer.items]
    version = np.empty(len(answers), object)
    version[:] = [answer.version for answer in answers]
    return ShownLists(
        at_us=np.array([answer.at_us for answer in answers], np.int64),
        user=users.numbers([answer.key for answer in answers]),
        version=version,
        randomized=np.array([RANDOMIZED in answer.sources for answer in answers], bool),
        row=np.repeat(np.arange(len(answers), dtype=np.int64), lengths),
        item=items.numbers(shown),
        taken=np.array(flags, bool),
    )


def consumed(runtime: Runtime, shown: ShownLists, within_us: int, users: Numbered, items: Numbered) -> Consumed:
    """What users took up, in lists or without them, by all events of the history.

    `shown`: the lists, from `within_us` before the first time that is looked at.
    """
    task, schema = ranking_task(runtime), runtime.schema
    read = (*logged_types(task.event_types), *task.event_types)
    profiles = [entity.profile for entity in task.entities if entity.profile is not None]
    names = dict.fromkeys(event.__name__.lower() for event in (*read, *profiles))
    frames = {name: runtime.history.events(name) for name in names}
    pairs = pairs_at(frames, task, schema, _LATEST_US)
    outcomes = pairs.filter(pl.col("positive") | pl.col("weak_positive")).sort("seen_at", "user", "item")
    catalog = known_keys(frames, task.item, schema)
    if catalog is not None:
        items.numbers(catalog)
    outcomes = outcomes.with_columns(
        pl.Series("user", users.numbers(outcomes["user"].to_list())),
        pl.Series("item", items.numbers(outcomes["item"].to_list())),
    )
    return Consumed(
        user=outcomes["user"].to_numpy(),
        item=outcomes["item"].to_numpy(),
        at_us=outcomes["seen_at"].to_numpy().astype(np.int64),
        organic=_unshown(shown, outcomes, within_us),
        items=len(items) if catalog is None else len(catalog),
    )


def _answers(runtime: Runtime, since_us: int, until_us: int) -> Iterator[Prediction]:
    for record in records_between(runtime.predictions, since_us, until_us):
        answer = prediction_of(record)
        if answer.items:
            yield answer


def _taken(runtime: Runtime, label: str, since_us: int) -> set[tuple[str, str]]:
    """(id of the list, item) of the items for which the label holds."""
    frame = outcomes_frame(runtime.outcomes_path, since_us)
    column = f"labels.{label}"
    if column not in frame.columns:
        return set()
    return set(frame.filter(pl.col(column) > 0).select("id", "item").iter_rows())


def _unshown(shown: ShownLists, outcomes: pl.DataFrame, within_us: int) -> ListFlags:
    """Whether no list showed the item of a row of `outcomes` to its user in the `within_us` before it."""
    columns = {"user": shown.user[shown.row], "item": shown.item, "shown_at": shown.at_us[shown.row]}
    lists = pl.DataFrame(columns).sort("shown_at")
    latest = outcomes.join_asof(
        lists, left_on="seen_at", right_on="shown_at", by=["user", "item"], check_sortedness=False
    )  # backward: the last list before; both are sorted above
    passed = latest["seen_at"] - latest["shown_at"]
    return np.asarray((passed.is_null() | (passed > within_us)).to_numpy(), bool)
