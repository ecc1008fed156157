"""The measured apply delay goes from the worker into the snapshot's manifest, and from there into examples."""

from pathlib import Path

import pytest

from flyball.history import load_snapshot
from flyball.learning import learn
from flyball.operations import status
from flyball.tasks import ServingLag

from .conftest import DAY_US, DAYS, START_US, Theatre

SECOND_US = 1_000_000


def test_learning_sees_what_the_worker_had_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theatre = Theatre(tmp_path)
    theatre.fill()
    assert status(theatre.runtime).apply_delays == {}, "what lay in the log before was not late"
    theatre.clock.move_to_us(START_US + DAYS * DAY_US + DAY_US)
    for user in range(1, 61):
        theatre.put("watch", user=user, film="f1", minute=40)
    theatre.clock.advance_us(3 * SECOND_US)
    theatre.follow()
    measured = status(theatre.runtime).apply_delays
    assert measured.keys() == {"state", "features"}
    assert all(each.events == 60 and 3.0 <= each.p99_us / SECOND_US <= 3.6 for each in measured.values())
    message: list[ServingLag] = []
    monkeypatch.setattr("flyball.tasks.recommend.ranking_dataset.RankingDataset", _noting(message))
    report = learn(theatre.runtime, workers=1)
    snapshot = load_snapshot(theatre.runtime.history_folder, theatre.runtime.schema, report.snapshot)
    assert snapshot.manifest.apply_delays == measured
    assert message == [ServingLag(measured["state"].p99_us, measured["features"].p99_us)] * len(message) != []
    assert snapshot.types["watch"].lags.live is not None
    assert snapshot.types["watch"].lags.declared is None


def _noting(message: list[ServingLag]) -> type:
    from flyball.tasks import RankingDataset

    class Noting(RankingDataset):
        def __init__(self, *arguments: object) -> None:
            message.append(arguments[5])  # type: ignore[arg-type]
            super().__init__(*arguments)  # type: ignore[arg-type]

    return Noting
