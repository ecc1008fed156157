"""Predict and then learn, row by row, with models of River: run by `real_loops.py` with the Python of the peers.

Run: python river_stream.py ROWS.csv OUT.csv
The last column of `ROWS.csv` is the class; `OUT.csv` has a column of predicted classes for each model.
"""

import csv
import sys

from river import compose, dummy, forest, linear_model, preprocessing, tree


def models() -> dict[str, object]:
    scaled_logistic = compose.Pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    return {
        "River no change": dummy.NoChangeClassifier(),
        "River logistic regression": scaled_logistic,
        "River Hoeffding adaptive tree": tree.HoeffdingAdaptiveTreeClassifier(seed=0),
        "River adaptive random forest": forest.ARFClassifier(n_models=10, seed=0),
    }


def main(rows_path: str, out_path: str) -> None:
    with open(rows_path, newline="") as file:
        header, *rows = csv.reader(file)
    predicted = {}
    for name, model in models().items():
        answers = []
        for row in rows:
            x = {column: float(value) for column, value in zip(header[:-1], row[:-1], strict=True)}
            answers.append(int(model.predict_one(x) or 0))  # type: ignore[attr-defined]
            model.learn_one(x, int(row[-1]))  # type: ignore[attr-defined]
        predicted[name] = answers
    with open(out_path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(predicted)
        writer.writerows(zip(*predicted.values(), strict=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
