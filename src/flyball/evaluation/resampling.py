"""All figures of all contestants from the same resamples of users."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.evaluation.beyond_accuracy import coverage
from flyball.evaluation.estimates import Estimate, bootstrap_means, interval_of, resample_weights
from flyball.evaluation.ranking_metrics import ACCURACY
from flyball.evaluation.report import Figures

Values = Mapping[str, NDArray[np.float64]]
Differences = dict[str, dict[str, dict[str, Estimate]]]

_COVERAGE_RESAMPLES = 200


def is_accuracy(metric: str) -> bool:
    """Whether `ndcg@20` and its like, which contestants are compared by."""
    return metric.split("@")[0] in ACCURACY


class MeanFigures:
    """Figures that are means over users. `values`: {contestant: {metric: (users,)}}, all of the same users."""

    def __init__(self, values: Mapping[str, Values], seed: int, resamples: int) -> None:
        self._places: dict[tuple[str, str], int] = {}
        columns: list[NDArray[np.float64]] = []
        for name, metrics in values.items():
            for metric, column in metrics.items():
                self._places[name, metric] = len(columns)
                columns.append(column)
        self.users = len(columns[0]) if columns else 0
        table = np.stack(columns, axis=1) if columns else np.zeros((0, 0))
        self._means = table.mean(axis=0) if columns else np.zeros(0)
        self._resampled = bootstrap_means(table, seed, resamples) if columns else np.zeros((0, 0))

    def of(self, name: str) -> Figures:
        """The contestant's figures."""
        return {
            metric: interval_of(self._means[place], self._resampled[:, place], self.users)
            for (owner, metric), place in self._places.items()
            if owner == name
        }

    def differences(self) -> Differences:
        """Each pair once, for the metrics of accuracy."""
        found: Differences = {}
        for (name, metric), place in self._places.items():
            if not is_accuracy(metric):
                continue
            for (other, same), against in self._places.items():
                if same == metric and place < against:
                    difference = interval_of(
                        self._means[place] - self._means[against],
                        self._resampled[:, place] - self._resampled[:, against],
                        self.users,
                    )
                    found.setdefault(metric, {}).setdefault(name, {})[other] = difference
        return found


class RatingFigures:
    """RMSE and MAE from `errors`, {name: (ratings,)}; resampled by user, as one user's errors go together.

    `rows`: the user of each rating.
    """

    def __init__(self, errors: Values, rows: NDArray[np.int32], seed: int, resamples: int) -> None:
        self.figures: dict[str, Figures] = {}
        self._resampled: dict[tuple[str, str], NDArray[np.float64]] = {}
        if not errors:
            return
        _, owner = np.unique(rows, return_inverse=True)
        users = int(owner.max()) + 1
        columns: list[NDArray[Any]] = [np.bincount(owner, minlength=users)]
        for error in errors.values():
            columns += [
                np.bincount(owner, error**2, minlength=users),
                np.bincount(owner, np.abs(error), minlength=users),
            ]
        sums = bootstrap_means(np.stack(columns, axis=1), seed, resamples)
        for place, (name, error) in enumerate(errors.items()):
            squares, absolutes = sums[:, 1 + 2 * place] / sums[:, 0], sums[:, 2 + 2 * place] / sums[:, 0]
            self._resampled[name, "rmse"], self._resampled[name, "mae"] = np.sqrt(squares), absolutes
            self.figures[name] = {
                "rmse": interval_of(float(np.sqrt(np.mean(error**2))), np.sqrt(squares), users),
                "mae": interval_of(float(np.mean(np.abs(error))), absolutes, users),
            }
        self._users = users

    def differences(self, names: Sequence[str]) -> Differences:
        """Each pair of `names` once."""
        found: Differences = {}
        for metric in ("rmse", "mae"):
            for place, name in enumerate(names):
                for other in names[place + 1 :]:
                    value = self.figures[name][metric].value - self.figures[other][metric].value
                    resampled = self._resampled[name, metric] - self._resampled[other, metric]
                    found.setdefault(metric, {}).setdefault(name, {})[other] = interval_of(
                        value, resampled, self._users
                    )
        return found


def coverage_figure(places: NDArray[np.int32], items: int, seed: int) -> Estimate:
    """Coverage with an interval for its spread over samples of as many users.

    A resample repeats users, so it always covers less: the resampled values are moved so that their mean is the value.
    """
    value = coverage(places, items)
    drawn = np.array(
        [
            coverage(places[row > 0], items)
            for weights in resample_weights(len(places), _COVERAGE_RESAMPLES, seed)
            for row in weights
        ]
    )
    moved = np.clip(drawn - drawn.mean() + value, 0.0, 1.0)
    return interval_of(value, moved, len(places))
