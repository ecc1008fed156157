"""Predict, watch the errors, and learn again at an alarm: the loop that `drift_streams.py` runs for each detector.

It needs numpy alone, so that it also runs with the Python of the peers:
Run: python drift_loop.py STREAMS.npz
The streams are arrays `NAME.x`, shape (rows, columns), and `NAME.y`, shape (rows,). Prints, as JSON, for each detector
and stream the positions of errors and of alarms.
"""

import json
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Watch = Callable[[Doubles], int | None]
"""Takes the errors since the model was learned, 0 and 1, shape (n,); the position of the first alarm, or None."""
LEARNED, AHEAD, RIDGE, STEPS = 1_000, 5_000, 1.0, 8


def course(x: Doubles, y: Doubles, watch: Watch, learned: int = LEARNED) -> dict[str, list[int]]:
    """The positions of errors, and those of alarms, behind each of which the next `learned` rows are learned.

    A logistic regression of standardized columns; the old one predicts until the new one has been learned. The first
    `learned` rows are only learned from.
    """
    errors, alarms, start = list[int](), list[int](), learned
    while start < len(y):
        predict = fit(x[start - learned : start], y[start - learned : start])
        wrong, alarm = np.empty(0), None
        while alarm is None and start + len(wrong) < len(y):
            wrong = np.concatenate([wrong, errors_of(predict, x, y, start + len(wrong), AHEAD)])
            alarm = watch(wrong)
        if alarm is not None:
            alarms.append(start + alarm)
            until = alarm + 1 + learned
            wrong = np.concatenate([wrong, errors_of(predict, x, y, start + len(wrong), until - len(wrong))])[:until]
        errors += (start + np.flatnonzero(wrong)).tolist()
        start += len(wrong)
    return {"errors": errors, "alarms": alarms}


def errors_of(predict: Callable[[Doubles], Doubles], x: Doubles, y: Doubles, start: int, count: int) -> Doubles:
    """1 for each of `count` rows from `start` on that is predicted wrongly, else 0; fewer where the stream ends."""
    rows = slice(start, start + max(count, 0))
    return (predict(x[rows]) != y[rows]).astype(np.float64)


def fit(x: Doubles, y: Doubles) -> Callable[[Doubles], Doubles]:
    """Logistic regression with a ridge penalty, by Newton's method."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9

    def design(rows: Doubles) -> Doubles:
        return np.column_stack([np.ones(len(rows)), (rows - mean) / deviation])

    weights, rows = np.zeros(x.shape[1] + 1), design(x)
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        curvature = (rows * (chances * (1 - chances))[:, None]).T @ rows + RIDGE * np.eye(len(weights))
        weights = weights + np.linalg.solve(curvature, rows.T @ (y - chances) - RIDGE * weights)
    return lambda new: (design(new) @ weights > 0).astype(np.float64)


def of_river(make: Callable[[], object]) -> Watch:
    def watch(wrong: Doubles) -> int | None:
        detector = make()
        for position, value in enumerate(wrong):
            detector.update(bool(value))  # type: ignore[attr-defined]
            if detector.drift_detected:  # type: ignore[attr-defined]
                return position
        return None

    return watch


def main(path: str) -> None:
    from river import drift
    from river.drift import binary

    made = {
        "ADWIN": drift.ADWIN,
        "Page-Hinkley": drift.PageHinkley,
        "DDM": binary.DDM,
        "EDDM": binary.EDDM,
        "HDDM_A": binary.HDDMA,
        "HDDM_W": binary.HDDMW,
    }
    loaded = np.load(path)
    names = [key[:-2] for key in loaded.files if key.endswith(".x")]
    courses = {
        f"River, {detector}": {name: course(loaded[f"{name}.x"], loaded[f"{name}.y"], of_river(make)) for name in names}
        for detector, make in made.items()
    }
    json.dump(courses, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
