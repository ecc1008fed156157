"""Versions that are late: the next version answers while the deadline allows it, then the fallback.

Time is moved by hand, and a version answers when a test lets it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.serving.versions import FALLBACK, Lists, asks, listing, reading

from flyball.core import ManualStopwatch
from flyball.outcomes import Prediction
from flyball.releases import Release, ReleaseArm, ReleaseState
from flyball.serving import Engine, Serving
from flyball.serving.batching import RELIEF_SHARE, STUCK_S, TICK_S, Scorer
from flyball.serving.metrics import ServingMetrics
from flyball.tasks import Request, Response

pytestmark = pytest.mark.anyio

DEADLINE_S = 0.3
WAIT_S = DEADLINE_S - 4 * TICK_S
A_BIT_S = 0.001
RELIEF_S = (1 - RELIEF_SHARE) * WAIT_S + A_BIT_S
"""When a request that is held up has been given to the next version."""


class Gated(Lists):
    """A version that holds its thread until `gate` is set; `calls`: the keys of each batch it was asked."""

    def __init__(self, items: Sequence[str]) -> None:
        super().__init__(items, self._held)
        self.gate, self.calls = threading.Event(), list[list[str]]()

    def _held(self, requests: Sequence[Request]) -> list[Response]:
        gate = self.gate
        self.calls.append([request.key for request in requests])
        assert gate.wait(60)
        return [listing(*self.items) for _ in requests]


class Served:
    """A scorer over given versions; v2 is the champion, v1 the previous one."""

    def __init__(self, scorer: Scorer, engine: Engine, metrics: ServingMetrics, stopwatch: ManualStopwatch) -> None:
        self.scorer, self.engine, self.metrics, self.stopwatch = scorer, engine, metrics, stopwatch

    def ask(self, requests: Sequence[Request]) -> "list[asyncio.Future[Prediction]]":
        return [self.scorer.answer(request) for request in requests]

    def failures(self, kind: str) -> int:
        return int(self.metrics.counters.get(f"failures|{kind}"))

    async def answered_after(self, seconds: float, asked: "list[asyncio.Future[Prediction]]") -> list[Prediction]:
        self.stopwatch.advance_s(seconds)
        return await asyncio.wait_for(asyncio.gather(*asked), 60)

    async def some_ticks(self) -> None:
        """Let the timer look a few times."""
        for _ in range(3):
            await until(lambda count=self.scorer.looks + 1: self.scorer.looks >= count)


class CountingScorer(Scorer):
    looks = 0

    def _tick(self) -> None:
        super()._tick()
        self.looks += 1


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.001)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "relief"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def serve(tmp_path: Path) -> Any:
    """`async with serve(v1=..., v2=...) as served:`; versions that hold a thread let go in the end."""

    @asynccontextmanager
    async def serving(
        deadline_s: float = DEADLINE_S, releases: tuple[Release, ...] = (), **pipelines: Lists
    ) -> AsyncIterator[Served]:
        stopwatch = ManualStopwatch()
        metrics = ServingMetrics(tmp_path / "counters", "test", stopwatch)
        previous = "v1" if "v1" in pipelines else None
        state = ReleaseState(champion="v2", previous=previous, serial=2, releases=releases)
        engine = Engine(reading, metrics.note, Serving(state, dict(pipelines), {}, FALLBACK, "v2"))

        def trip(version: str, reason: str) -> None:
            left = {name: one for name, one in engine.serving.pipelines.items() if name != version}
            engine.serving = Serving(state, left, {version: reason}, FALLBACK, "v2")

        scorer = CountingScorer(engine, trip, metrics, stopwatch, deadline_s)
        scorer.start(asyncio.get_running_loop())
        try:
            yield Served(scorer, engine, metrics, stopwatch)
        finally:
            for pipeline in pipelines.values():
                if isinstance(pipeline, Gated):
                    pipeline.gate.set()
            scorer.stop()
            await until(lambda: not threads())

    return serving


async def test_the_previous_champion_answers_what_a_late_champion_holds_up(serve: Any) -> None:
    champion = Gated(["c", "d"])
    async with serve(v1=Lists(["a", "b"]), v2=champion) as served:
        asked = served.ask(asks(3))
        await until(lambda: bool(champion.calls))
        answers = await served.answered_after(RELIEF_S, asked)
        assert {(one.level, one.version, *one.items) for one in answers} == {("previous", "v1", "a", "b")}
        assert {(one.assigned, one.failed, one.arm, one.propensity) for one in answers} == {
            ("v2", "late", "champion", 1.0)
        }
        assert [one.offsets for one in answers] == [(3, 4)] * 3
        assert (served.failures("late"), served.failures("stuck")) == (3, 0)
        champion.gate.set()
        (again,) = await served.answered_after(0, served.ask(asks(1)))
        assert (again.level, again.failed, served.failures("late")) == ("champion", "", 3)


async def test_a_champion_has_until_then_to_answer_itself(serve: Any) -> None:
    champion = Gated(["c", "d"])
    async with serve(v1=Lists(["a", "b"]), v2=champion) as served:
        asked = served.ask(asks(2))
        await until(lambda: bool(champion.calls))
        served.stopwatch.advance_s(RELIEF_S - 2 * A_BIT_S)
        await served.some_ticks()
        assert not any(one.done() for one in asked)
        champion.gate.set()
        assert [one.level for one in await served.answered_after(0, asked)] == ["champion"] * 2
        assert served.failures("late") == 0


async def test_requests_behind_a_late_batch_wait_for_it_as_long_as_the_first_did(serve: Any) -> None:
    champion = Gated(["c", "d"])
    async with serve(v1=Lists(["a", "b"]), v2=champion) as served:
        first = served.ask(asks(1))
        await until(lambda: bool(champion.calls))
        served.stopwatch.advance_s(RELIEF_S / 2)
        behind = served.ask(asks(2)[1:])
        assert [one.level for one in await served.answered_after(RELIEF_S / 2, first)] == ["previous"]
        await served.some_ticks()
        assert not behind[0].done()
        assert [one.level for one in await served.answered_after(RELIEF_S / 2, behind)] == ["previous"]
        champion.gate.set()
        await until(lambda: served.scorer._put == served.scorer._taken)
        assert champion.calls == [["1"]]  # what was answered is not scored again


async def test_a_champion_that_is_late_forever_is_relieved_again_and_again(serve: Any) -> None:
    champion, rounds = Gated(["c"]), 50
    async with serve(v1=Lists(["a"]), v2=champion) as served:
        for count in range(1, rounds + 1):
            asked = served.ask(asks(2))
            await until(lambda count=count: len(champion.calls) == count)
            answers = await served.answered_after(RELIEF_S, asked)
            assert [one.level for one in answers] == ["previous"] * 2
            assert len(threads()) <= 1
            gate, champion.gate = champion.gate, threading.Event()
            gate.set()
        assert served.failures("late") == 2 * rounds
        assert (served.failures("stuck"), served.scorer._stuck) == (0, 0)
    assert threads() == []


async def test_when_the_previous_champion_is_late_too_the_baseline_answers(serve: Any) -> None:
    champion, previous = Gated(["c"]), Gated(["a"])
    async with serve(v1=previous, v2=champion) as served:
        asked = served.ask(asks(2))
        await until(lambda: bool(champion.calls))
        served.stopwatch.advance_s(RELIEF_S)
        await until(lambda: bool(previous.calls))
        more = served.ask(asks(1))
        answers = await served.answered_after(WAIT_S, [*asked, *more])
        assert {(one.level, one.version, one.failed) for one in answers} == {("precomputed", "v2", "late")}
        assert len(threads()) == 1
        served.stopwatch.advance_s(STUCK_S)
        await until(lambda: not served.engine.serving.pipelines)
        assert (served.failures("stuck"), served.scorer._stuck) == (2, 2)
        (after,) = await served.answered_after(0, served.ask(asks(1)))
        assert (after.level, after.failed) == ("precomputed", "load")
        champion.gate.set()
        previous.gate.set()
        await until(lambda: not served.scorer._stuck)
        assert len(asked) == sum(one.done() for one in asked)


async def test_without_another_version_the_late_one_keeps_its_whole_time(serve: Any) -> None:
    champion = Gated(["c"])
    async with serve(v2=champion) as served:
        asked = served.ask(asks(1))
        await until(lambda: bool(champion.calls))
        served.stopwatch.advance_s(WAIT_S - A_BIT_S)
        await served.some_ticks()
        assert not asked[0].done()
        champion.gate.set()
        assert [one.level for one in await served.answered_after(0, asked)] == ["champion"]


async def test_a_late_arm_holds_up_no_request_of_the_champion(serve: Any) -> None:
    arms = (ReleaseArm("control"), ReleaseArm("candidate", "v3"))
    release = Release(id="rel2", kind="ab", state="ab", arms=arms, salt="rel2", layer="model")
    candidate = Gated(["e"])
    async with serve(releases=(release,), v1=Lists(["a"]), v2=Lists(["c"]), v3=candidate) as served:
        asked = served.ask(asks(40))
        await until(lambda: bool(candidate.calls))
        answers = await served.answered_after(RELIEF_S, asked)
        by_arm = {(one.arm, one.version, one.level, one.assigned, one.failed, one.propensity) for one in answers}
        assert by_arm == {
            ("control", "v2", "champion", "", "", 0.5),
            ("candidate", "v2", "champion", "v3", "late", 0.5),
        }
        assert served.failures("late") == sum(one.arm == "candidate" for one in answers)


async def test_what_a_stuck_thread_held_goes_to_the_new_one_when_its_deadline_is_later(serve: Any) -> None:
    champion = Gated(["c"])
    async with serve(deadline_s=10.0, v1=Lists(["a"]), v2=champion) as served:
        asked = served.ask(asks(3))
        await until(lambda: bool(champion.calls))
        answers = await served.answered_after(STUCK_S + A_BIT_S, asked)
        assert [(one.level, one.version) for one in answers] == [("previous", "v1")] * 3
        assert served.failures("stuck") == 1


async def test_what_the_relief_cannot_answer_either_is_left_to_the_timer(serve: Any) -> None:
    def broken(requests: Sequence[Request]) -> list[Response]:
        raise RuntimeError("broken")

    champion = Gated(["c"])
    async with serve(v1=Lists([], broken), v2=champion) as served:
        asked = served.ask(asks(1))
        await until(lambda: bool(champion.calls))
        served.stopwatch.advance_s(RELIEF_S)
        await until(lambda: served.failures("score") == 1)
        await served.some_ticks()
        assert not asked[0].done()
        assert [one.level for one in await served.answered_after(WAIT_S - RELIEF_S + 0.001, asked)] == ["precomputed"]
        assert served.failures("score") == 1, "the champion must not have ended by itself"
        champion.gate.set()
