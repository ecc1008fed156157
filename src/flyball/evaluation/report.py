"""What an evaluation found, as values: one report for all candidates, baselines and the champion."""

import msgspec

from flyball.core import NotFound
from flyball.evaluation.estimates import Estimate

Figures = dict[str, Estimate]

CANDIDATE, BASELINE, CHAMPION = "candidate", "baseline", "champion"
LOWER_IS_BETTER = frozenset({"rmse", "mae"})


class Cost(msgspec.Struct, frozen=True):
    """`train_s`: seconds to fit. `answer_us`: median microseconds of one answer alone, `answer`: with its interval
    over answers. `bytes`: of the artifact."""

    train_s: float = 0.0
    answer_us: float = 0.0
    bytes: int = 0
    answer: Estimate | None = None


class SliceFigures(msgspec.Struct, frozen=True):
    """Figures of the users who share `name` in `by` ("group" or "activity")."""

    by: str
    name: str
    users: int
    figures: Figures


class Judged(msgspec.Struct, frozen=True):
    """One candidate. `failed`: why it has no figures, "" when it has.

    `figures`: by metric, such as "ndcg@20", "coverage@20", "rmse". `full_lists`: share of users who got as many items
    as were asked for. `personal`: share of places filled from the model's scores for the user, `scored`: from its
    scores, be they for the user or the same for all; the rest are newcomers and what the fallback lists filled in. None
    in reports from before it was told.
    """

    name: str
    role: str
    kind: str
    failed: str = ""
    figures: Figures = {}
    cost: Cost = Cost()
    slices: list[SliceFigures] = []
    full_lists: float = 0.0
    personal: float = 0.0
    scored: float | None = None

    @property
    def note(self) -> str:
        """What its figures do not tell, "" when that is nothing."""
        return self.failed or ("scored nothing: these are the fallback's lists" if self.scored == 0 else "")


class Weighed(msgspec.Struct, frozen=True):
    """The same comparison with each target counted by the inverse of the chance that its user came upon it.

    Of `targets` the service had shown `targets_shown` to their users beforehand, and something to `users_shown` users.
    `lifts`: what being shown at places 1, 2-3, 4-7, 8-15 and beyond adds to the chance, `floor`: what chances count
    for at least, both in users who had touched an item. `effective`: how many targets of equal weight these are worth.
    `decides`: that is enough, so gates and choice use `figures` and `differences` (as in a report); if not, these are
    empty, and gates and choice use those of the report, which favour the popular and whoever served.
    """

    targets: int
    targets_shown: int
    users_shown: int
    lifts: list[float]
    floor: float
    effective: float
    decides: bool
    figures: dict[str, Figures] = {}
    differences: dict[str, dict[str, dict[str, Estimate]]] = {}

    def text(self) -> str:
        """How many targets the service had shown, and what decides, in a sentence."""
        told = (
            f"the service had shown {self.targets_shown:,} of {self.targets:,} targets to their users beforehand; "
            f"weighed by the chance of coming upon them, the targets are worth {self.effective:,.0f}"
        )
        if self.decides:
            return f"{told}, and so weighed they decide"
        return f"{told}, too few to decide: unweighed they decide, which favours the popular and who served"


class Report(msgspec.Struct, frozen=True):
    """All candidates on the same users.

    `differences[metric][a][b]`: a's mean minus b's on the same users, with its paired interval. `ratings`: RMSE and
    MAE of the global mean and of the bias model on the same ratings that rating models are judged by. `weighed`:
    what gates and choice go by, None when they go by the plain figures.
    """

    users: int
    split_us: int
    end_us: int
    k: int
    seed: int
    resamples: int
    judged: dict[str, Judged]
    differences: dict[str, dict[str, dict[str, Estimate]]]
    ratings: dict[str, Figures] = {}
    rated: int = 0
    activity_bounds: str = "new: 0 items, light: 1 to 19, heavy: 20 or more"
    weighed: Weighed | None = None

    def of(self, name: str) -> Judged:
        """The candidate `name`; raises `NotFound`."""
        if name not in self.judged:
            raise NotFound("candidate", name, self.judged)
        return self.judged[name]

    def difference(self, metric: str, name: str, other: str) -> Estimate | None:
        """`name` minus `other` in `metric`; None when either has no such figure."""
        return _difference(self.differences.get(metric, {}), name, other)

    def fair_value(self, metric: str, name: str) -> float:
        """`name`'s figure that gates and choice use: of `weighed` when that decides; raises `KeyError` without one."""
        figures = self.weighed.figures if self.weighs(metric) and self.weighed else {}
        return (figures[name] if name in figures else self.of(name).figures)[metric].value

    def fair_difference(self, metric: str, name: str, other: str) -> Estimate | None:
        """`name` minus `other`, as gates and choice use it; None when either has no such figure."""
        if self.weighed is not None and self.weighs(metric):
            return _difference(self.weighed.differences.get(metric, {}), name, other)
        return self.difference(metric, name, other)

    def weighs(self, metric: str) -> bool:
        """Whether gates and choice go by weighed targets."""
        return self.weighed is not None and self.weighed.decides and metric in self.weighed.differences

    def json(self) -> bytes:
        """The report as JSON; `msgspec.json.decode(data, type=Report)` gives it back."""
        return msgspec.json.encode(self)

    def table(self, metrics: tuple[str, ...] = ()) -> list[list[str]]:
        """Rows of text, the header first: candidates in order of the first metric, failed ones last."""
        shown = metrics or self._metrics()
        header = ["candidate", "role", *shown, "train s", "us/answer", "MB", "note"]
        first = shown[0] if shown else ""
        order = sorted(self.judged.values(), key=lambda one: (bool(one.failed), _rank(one, first), one.name))
        return [header, *(self._row(one, shown) for one in order)]

    def _metrics(self) -> tuple[str, ...]:
        names = [f"ndcg@{self.k}", f"recall@{self.k}", f"hit_rate@{self.k}", f"coverage@{self.k}", f"novelty@{self.k}"]
        rated = ["rmse"] if any("rmse" in one.figures for one in self.judged.values()) else []
        return tuple(names + rated)

    def _row(self, one: Judged, shown: tuple[str, ...]) -> list[str]:
        figures = [one.figures[name].text() if name in one.figures else "" for name in shown]
        cost = ["", "", ""]
        if not one.failed:
            cost = [f"{one.cost.train_s:.1f}", f"{one.cost.answer_us:.0f}", f"{one.cost.bytes / 1e6:.1f}"]
        return [one.name, one.role, *figures, *cost, one.note]


def _difference(found: dict[str, dict[str, Estimate]], name: str, other: str) -> Estimate | None:
    if name in found and other in found[name]:
        return found[name][other]
    if other in found and name in found[other]:
        turned = found[other][name]
        low = None if turned.high is None else -turned.high
        high = None if turned.low is None else -turned.low
        return Estimate(-turned.value, low, high)
    return None


def _rank(one: Judged, metric: str) -> float:
    if metric not in one.figures:
        return float("inf")
    value = one.figures[metric].value
    return value if metric in LOWER_IS_BETTER else -value
