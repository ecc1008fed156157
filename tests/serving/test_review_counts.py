"""A declared number of reviews a day holds: in one process exactly, after a restart, among several, by local days."""

import random
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flyball.core import new_id
from flyball.events import open_log
from flyball.outcomes import Prediction, prediction_record
from flyball.serving.review_counts import ReviewCounts
from flyball.serving.review_file import ReviewFile
from flyball.tasks import Request, request_of, request_type
from flyball.testing import faulty

ASKED = request_type(faulty.app.task)
DAY_US = 86_400_000_000
NOW_US = 1_767_225_600_000_000 + 12 * 3_600_000_000  # noon of 1 January 2026


def asks(count: int, at_us: int = NOW_US, seed: int = 1) -> list[Request]:
    rng = random.Random(seed)
    return [request_of(ASKED, new_id(at_us + n, rng), at_us + n, {"user": 1, "k": 2}) for n in range(count)]


def decided(request: Request, decision: str) -> Prediction:
    return Prediction(
        id=request.id,
        at_us=request.at_us,
        key=request.key,
        items=[],
        version="v1",
        level="champion",
        arm="champion",
        propensity=1.0,
        request_type="recommendrequest",
        request={},
        scores=[],
        sources=[],
        offsets=(),
        decision=decision,
    )


def serve(counts: ReviewCounts, requests: Sequence[Request], limit: float) -> list[Prediction]:
    """The answers of a process that would review every request."""
    made = []
    for request in requests:
        made.append(decided(request, "review" if counts.take(request, limit) < limit else "approve"))
        counts.settle(made[-1])
    return made


def reviews(predictions: Sequence[Prediction]) -> int:
    return sum(prediction.decision == "review" for prediction in predictions)


@pytest.mark.parametrize(("limit", "most"), [(3, 3), (0.5, 1), (7.5, 8), (100, 20)])
def test_one_process_never_exceeds_the_limit(limit: float, most: int) -> None:
    made = serve(ReviewCounts("review", UTC), asks(20), limit)
    assert reviews(made) == most
    assert all(one.decision == "review" for one in made[:most])


def test_threads_do_not_exceed_it_together() -> None:
    counts, requests, made = ReviewCounts("review", UTC), asks(400), list[Prediction]()
    parts = [threading.Thread(target=lambda n=n: made.extend(serve(counts, requests[n::4], 50))) for n in range(4)]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    assert (len(made), reviews(made)) == (400, 50)


def test_processes_of_one_home_do_not_exceed_it_together(tmp_path: Path) -> None:
    """Each has counts of its own, and none reads the log in between."""
    requests, made = asks(400), list[Prediction]()
    processes = [ReviewCounts("review", UTC, ReviewFile(tmp_path)) for _ in range(4)]
    parts = [
        threading.Thread(target=lambda n=n: made.extend(serve(processes[n], requests[n::4], 50))) for n in range(4)
    ]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    assert (len(made), reviews(made)) == (400, 50)


def test_what_one_gives_back_another_may_take(tmp_path: Path) -> None:
    first, second = (ReviewCounts("review", UTC, ReviewFile(tmp_path)) for _ in range(2))
    dry, late, default, other, last = asks(5)
    assert first.take(dry, 1) == 0
    first.forget(decided(dry, "review"))
    assert second.take(late, 1) == 0
    second.settle(decided(late, "decline"))
    assert first.take(other, 1) == 0
    first.settle(decided(other, "review"))
    first.settle(decided(default, "review"))
    assert second.take(last, 3) == 2


def test_a_line_that_was_cut_off_and_a_file_that_cannot_be_written_do_no_harm(tmp_path: Path) -> None:
    counts, requests = ReviewCounts("review", UTC, ReviewFile(tmp_path)), asks(10)
    serve(counts, requests[:2], 5)
    (path,) = tmp_path.iterdir()
    with open(path, "ab") as file:
        file.write(b"+01KG8")  # a process was killed
    others = ReviewCounts("review", UTC, ReviewFile(tmp_path))
    assert others.take(requests[2], 5) == 2
    (tmp_path / "file").write_text("no folder")
    alone = ReviewCounts("review", UTC, ReviewFile(tmp_path / "file"))
    assert reviews(serve(alone, requests, 5)) == 5


def test_files_of_earlier_days_are_removed(tmp_path: Path) -> None:
    counts, log = ReviewCounts("review", UTC, ReviewFile(tmp_path / "run")), open_log(f"sqlite://{tmp_path}/log.db")
    for day in range(4):
        serve(counts, asks(1, NOW_US + day * DAY_US, seed=day), 5)
        counts.read(log, NOW_US + day * DAY_US)
    assert [path.name for path in sorted((tmp_path / "run").iterdir())] == ["reviews-2026-01-03", "reviews-2026-01-04"]


def test_versions_that_are_asked_for_the_same_request_take_one_review() -> None:
    counts = ReviewCounts("review", UTC)
    first, second = asks(2)
    assert [counts.take(first, 2) for _ in range(3)] == [0, 0, 0]
    counts.settle(decided(first, "review"))
    assert counts.take(first, 2) == 0  # the late version
    assert counts.take(second, 2) == 1


def test_a_review_is_given_back_when_another_answer_is_sent_or_none_is_kept() -> None:
    counts = ReviewCounts("review", UTC)
    late, dry, last = asks(3)
    counts.take(late, 1)
    counts.settle(decided(late, "decline"))
    assert counts.take(dry, 1) == 0
    counts.forget(decided(dry, "review"))
    assert counts.take(last, 1) == 0


def test_a_review_by_default_counts_though_it_was_not_taken() -> None:
    counts = ReviewCounts("review", UTC)
    default, other = asks(2)
    counts.settle(decided(default, "review"))
    assert counts.take(other, 1) == 1


def test_a_review_taken_after_the_answer_was_sent_counts_for_a_minute_at_most(tmp_path: Path) -> None:
    counts, log = ReviewCounts("review", UTC), open_log(f"sqlite://{tmp_path}/log.db")
    late, other, another = asks(3)
    counts.settle(decided(late, "approve"))
    counts.take(late, 1)
    assert counts.take(other, 1) == 1
    counts.read(log, NOW_US + 61_000_000)
    assert counts.take(another, 1) == 0


def test_a_new_process_knows_the_reviews_of_the_day_and_each_those_of_the_others(tmp_path: Path) -> None:
    log = open_log(f"sqlite://{tmp_path}/log.db")
    first = ReviewCounts("review", UTC)
    yesterday = serve(first, asks(5, NOW_US - DAY_US, seed=2), 4)
    made = serve(first, asks(3), 4)
    log.append([prediction_record(one) for one in [*yesterday, *made]])
    second = ReviewCounts("review", UTC)
    second.read(log, NOW_US)
    theirs = serve(second, asks(5, NOW_US + 1_000, seed=3), 4)
    assert (reviews(made), reviews(theirs)) == (3, 1)
    log.append([prediction_record(one) for one in theirs])
    first.read(log, NOW_US + 2_000)
    assert reviews(serve(first, asks(5, NOW_US + 3_000, seed=4), 4)) == 0
    first.read(log, NOW_US + 4_000)  # what was read or is its own counts once
    assert first.take(asks(1, NOW_US + 5_000, seed=5)[0], 100) == 4


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
def test_a_day_ends_at_midnight_of_its_zone_and_has_23_or_25_hours_when_clocks_change(
    zone: str, tmp_path: Path
) -> None:
    counts, log = ReviewCounts("review", ZoneInfo(zone)), open_log(f"sqlite://{tmp_path}/log.db")
    at_us, end_us, served = _us(2026, 3, 27, zone), _us(2026, 3, 31, zone), list[Prediction]()
    while at_us < end_us:  # four days, one of 23 hours in Berlin; a request each ten minutes
        counts.read(log, at_us)
        served += serve(counts, asks(1, at_us, seed=at_us), 5)
        at_us += 600_000_000
    days = [
        datetime.fromtimestamp(one.at_us / 1e6, ZoneInfo(zone)).date() for one in served if one.decision == "review"
    ]
    assert sorted(days) == [day for day in sorted(set(days)) for _ in range(5)]
    assert len(set(days)) == 4
    first = [one for one in served if datetime.fromtimestamp(one.at_us / 1e6, ZoneInfo(zone)).day == 30][:5]
    assert reviews(first) == 5


def _us(year: int, month: int, day: int, zone: str) -> int:
    return round(datetime(year, month, day, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000
