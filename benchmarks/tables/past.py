"""From events in memory to the examples that learning sees: through a home's log, history and snapshot."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

import flyball as fb
from flyball.cli.common import open_home
from flyball.core import Doubles, Ints, SystemStopwatch
from flyball.learning.job import Job
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.models import TabularModel, TrainingTable
from flyball.registry import Run
from flyball.tasks.predict.examples import Labeled, RequestHistory, training_data
from flyball.tasks.predict.offline import table_of


class Rows(msgspec.Struct, frozen=True):
    """Every request of an application in order of time, with the columns that its models see.

    `frame`: the fields of each request; `label`: the outcome of it, NaN where that is not known, float64 (requests,).
    """

    app: fb.App
    history: RequestHistory
    table: pl.DataFrame
    label: Doubles

    @property
    def frame(self) -> pl.DataFrame:
        return self.history.frame

    @property
    def at_us(self) -> Ints:
        return self.history.at_us

    def fit(self, model: TabularModel, train: Ints, test: Ints, seed: int = 0) -> Doubles:
        """What `model` predicts for the rows `test` when it learns from the rows `train`; float64 (rows, outputs).

        A category that no row of `train` has is unknown.
        """
        rows = np.concatenate([train, test])
        labeled = Labeled(rows, self.label[rows], self.history.weight[rows], {}, 0, self.history.past.as_of_us)
        delays_us = tuple(target.within_us for target in self.app.task.targets.values())
        both = table_of(training_data(self.app.task, self.table, labeled, self.at_us), delays_us)
        count = len(train)
        table = TrainingTable(
            columns=both.columns,
            numbers=both.numbers[:count],
            categories=both.categories[:count],
            vocabularies=both.vocabularies,
            target=both.target[:count],
            weight=both.weight[:count],
            at_us=both.at_us[:count],
            label_delays_us=delays_us,
        )
        categories = both.categories[count:].copy()
        for column in range(categories.shape[1]):
            unseen = ~np.isin(categories[:, column], table.categories[:, column])
            categories[unseen, column] = -1
        fitted = model.fit(table, self.app.task.target_kind, seed)
        predictor = model.open(fitted.arrays, fitted.texts, both.columns, self.app.task.target_kind)
        return predictor.predict(both.numbers[count:], categories)


def rows_of(spec: Path, events: Mapping[str, pl.DataFrame], folder: Path, as_of_us: int) -> Rows:
    """Take `events` {type: its events} into a new home of the application file `spec` within `folder`, by
    `flyball ingest`, and read its requests as everything was known at `as_of_us`."""
    home = folder / "home"
    for name, frame in events.items():
        path = folder / f"{name}.parquet"
        frame.write_parquet(path)
        command = [sys.executable, "-m", "flyball", "ingest", str(spec), str(path), "--type", name, "--home", str(home)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    runtime = open_home(str(spec), home, None)
    run = Run(id="", app=runtime.app.name, as_of_us=as_of_us, started_us=as_of_us, status="running")
    job = Job(runtime, run, lambda step: None, 1, 0, "benchmark", SystemStopwatch())
    catch_up(job)
    history = RequestHistory(runtime.app.task, past_of(job, snapshot_of(job)))
    return Rows(runtime.app, history, history.table, np.full(history.frame.height, np.nan))


def labeled(rows: Rows, as_of_us: int) -> Rows:
    """With the label of each request as it was known then; NaN for what was not."""
    final = rows.history.examples(as_of_us)
    label = np.full(rows.frame.height, np.nan)
    label[final.rows] = final.target
    return msgspec.structs.replace(rows, label=label)
