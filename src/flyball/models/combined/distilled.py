"""Distills a blend into one factor model, which answers at the cost of a single model.

Source: Tang, Wang, "Ranking Distillation: Learning Quantized Ranking Models with High Performance for Recommender
System", KDD 2018: the student learns from the likes and from the other items that the teacher ranks highest.
"""

from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.combined.blend import Blend
from flyball.models.data import Floats, Histories, Interactions, histories_of, positives, take
from flyball.models.ranking import top_k
from flyball.models.recommenders.implicit_als import ImplicitALS, check_als

_BATCH = 256


class Distilled(Recommender, frozen=True):
    """An `ImplicitALS` (`student`) that learns from the likes and from what a `Blend` (`teacher`) recommends.

    For each user, the `depth` items that the teacher ranks highest among those without a like count as likes of weight
    `weight`. The teacher is used for fitting only: the artifact holds the student alone, which answers. `depth` and
    `weight` were chosen on a validation part of ml-100k.
    """

    kind: ClassVar[str] = "distilled"

    search_space: ClassVar[SearchSpace] = {"depth": (5, 10, 20), "weight": (0.03, 0.1, 0.3)}

    teacher: Blend = Blend()
    student: ImplicitALS = ImplicitALS()
    depth: int = 10
    weight: float = 0.1

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise BadDeclaration("Distilled's depth", "at least 1", self.depth)
        if not self.weight > 0:
            raise BadDeclaration("Distilled's weight", "above 0", self.weight)
        check_als("Distilled's student", self.student)
        if not isinstance(self.teacher, Blend):
            raise BadDeclaration("Distilled's teacher", "a Blend, such as fb.Blend()", self.teacher)

    @property
    def parts(self) -> tuple[Recommender, ...]:
        """The student and the teacher."""
        return self.student, self.teacher

    def artifact_bytes(self, data: Interactions) -> int:
        """The bytes of the student."""
        return self.student.artifact_bytes(data)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """As `ImplicitALS.fit`."""
        return self.student.fit(self.taught(positives(data), self.teacher.fit(data, seed)), seed)

    def taught(self, liked: Interactions, learned: Learned) -> Interactions:
        """The likes, and those that the teacher adds with what it `learned`; never of an item that nobody likes."""
        known = np.bincount(liked.item_index, minlength=len(liked.items)) > 0
        users, items = [liked.user_index], [liked.item_index]
        histories, teacher = histories_of(liked, np.arange(len(liked.users))), self.teacher
        for start in range(0, histories.rows, _BATCH):
            part = take(histories, range(start, min(start + _BATCH, histories.rows)))
            scores = np.where(known, teacher.score(learned, part), -np.inf).astype(np.float32)
            seen = [part.items[part.indptr[row] : part.indptr[row + 1]] for row in range(part.rows)]
            best, _ = top_k(scores, seen, self.depth)
            row, rank = np.nonzero(best >= 0)
            users.append((start + row).astype(np.int32))
            items.append(best[row, rank].astype(np.int32))
        added = sum(len(part) for part in items) - len(liked.item_index)
        return msgspec.structs.replace(
            liked,
            user_index=np.concatenate(users),
            item_index=np.concatenate(items),
            weights=np.concatenate([liked.weights, np.full(added, self.weight, dtype=np.float32)]),
            ratings=np.concatenate([liked.ratings, np.full(added, np.nan, dtype=np.float32)]),
            at_us=np.concatenate([liked.at_us, np.zeros(added, dtype=np.int64)]),
        )

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """As `ImplicitALS.score`."""
        return self.student.score(learned, histories)

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """As `ImplicitALS.explain`."""
        return self.student.explain(learned, histories, item)

    def similar(self, learned: Learned, item: int) -> Floats:
        """Cosine of item factors."""
        return self.student.similar(learned, item)
