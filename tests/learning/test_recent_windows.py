"""The latest test windows lie in a row and end with the last example."""

from pathlib import Path

import pytest
from tests.learning.changing import changing, filled

from flyball.core import ManualStopwatch, Refused
from flyball.learning.job import Job
from flyball.learning.look import _past
from flyball.learning.recent_windows import recent_windows
from flyball.learning.report import Progress
from flyball.registry import Run
from flyball.simulation import DAY_US


def test_they_lie_in_a_row_and_there_are_fewer_where_history_ends(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 4)
    now_us = runtime.clock.now_us()

    def silent(step: Progress) -> None:
        return

    runtime.history_consumer.flush()
    job = Job(
        runtime, Run(id="", app="a", as_of_us=now_us, started_us=now_us, status="running"), silent, 1, 0, "test",
        ManualStopwatch(),
    )  # fmt: skip
    from flyball.learning.snapshot import catch_up

    catch_up(job)
    past = _past(job)
    windows, notes = recent_windows(job, past, 2, DAY_US)
    assert notes == []
    assert windows[0].holdout.end_us == windows[1].holdout.start_us
    last_us = int(windows[1].evaluation.at_us.max())
    assert windows[1].holdout.end_us == last_us + 1
    assert all(window.train.as_of_us == window.holdout.start_us - 1 for window in windows)
    fewer, notes = recent_windows(job, past, 20, DAY_US)
    assert 2 <= len(fewer) < 20
    assert notes[0].startswith(f"{len(fewer)} of 20 test windows, since before them: ")
    with pytest.raises(Refused, match=r"; this window is the 1m before 2026-.*: take a longer one \(--span\), or wait"):
        recent_windows(job, past, 1, 60_000_000)
