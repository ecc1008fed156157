"""The offline door of recommendations."""

from typing import TYPE_CHECKING

from flyball.tasks.recommend.plan import evaluation_plan
from flyball.tasks.task import EvaluationPlan

if TYPE_CHECKING:
    from flyball.tasks.recommend.declaration import Recommend


class RecommendOffline:
    """How recommendations of one task are evaluated."""

    def __init__(self, task: "Recommend") -> None:
        self._task = task

    def plan(self) -> EvaluationPlan:
        """Metrics, baselines and gates."""
        return evaluation_plan(self._task)
