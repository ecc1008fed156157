"""A shadow answers beside what was served, within its budget, and whatever it does counts for it alone."""

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flyball.core import ManualClock, ManualStopwatch
from flyball.models import Recommender
from flyball.outcomes import Prediction, prediction_record, response_of
from flyball.policy import ReleasePlan, canary, shadow
from flyball.releases import (
    Controller,
    ShadowResult,
    agreement,
    current,
    find_release,
    start_release,
    versions_in_service,
    versions_to_serve,
)
from flyball.runtime import Runtime
from flyball.serving import Refresher, RequestReader, ShadowRunner
from flyball.serving.metrics import ServingMetrics
from flyball.serving.shadow import BATCH, CRASH
from flyball.testing import faulty
from flyball.testing.faulty import Faulty

NOW_US = faulty.START_US + 2 * faulty.DAY_US
GUARDED = shadow(alpha=0.05, answers=500)


class Steady:
    """A stopwatch of which each reading is a little later."""

    def __init__(self, step_s: float = 1e-6) -> None:
        self.at_s, self.step_s = 0.0, step_s

    def read_s(self) -> float:
        self.at_s += self.step_s
        return self.at_s


class Remembers:
    """A guard whose process ended over `work`."""

    def __init__(self, work: str = "") -> None:
        self.work, self.begun = work, list[str]()

    def unfinished(self) -> str:
        return self.work

    def begin(self, work: str, within_s: float) -> None:
        self.begun.append(work)

    def end(self) -> None:
        self.begun.append("")


class Shadowed:
    """A home whose champion v1 is `champion`, beside v2, which is `candidate`, under release as `plan` says."""

    def __init__(self, runtime: Runtime, candidate: Recommender, plan: ReleasePlan = GUARDED) -> None:
        self.runtime, self.stopwatch = runtime, Steady()
        faulty.release(runtime, Faulty(), NOW_US)
        faulty.register(runtime, candidate, NOW_US)
        start_release(
            runtime.registry, plan, ["v2"], runtime.actor("ann", "to see", NOW_US), constants={"slow_us": 5e4}
        )
        self.ids = random.Random(5)
        self.refresher = Refresher(
            runtime, ServingMetrics(runtime.home / "c", "test", ManualStopwatch()), runtime.clock
        )
        self.refresher.step()

    def runner(self, **options: object) -> ShadowRunner:
        stopwatch = options.pop("stopwatch", self.stopwatch)
        runner = ShadowRunner(self.runtime, self.runtime.clock, stopwatch, **options)  # type: ignore[arg-type]
        runner.step()  # the first look says where it begins
        return runner

    def serve(self, count: int) -> list[Prediction]:
        """Answer `count` requests of users in turn, as the service does."""
        reader = RequestReader(self.runtime.app.task.about.request, self.runtime.clock, self.ids)
        requests = [reader.plain(number % 30 + 1) for number in range(count)]
        predictions = self.refresher.engine.answer(requests)
        self.runtime.predictions.append([prediction_record(prediction) for prediction in predictions])
        return predictions

    def result(self) -> ShadowResult:
        return self.runtime.shadow_counter.result("rel2")

    def answers(self, arm: str) -> int:
        return self.result().sums[arm][""].answers.answers


def run_dry(runner: ShadowRunner) -> int:
    answered = 0
    while (step := runner.step()).looked:
        answered += step.answered
    return answered


def failed(result: ShadowResult) -> dict[str, dict[str, int]]:
    return {arm: slices[""].answers.failed for arm, slices in result.sums.items()}


def controller(runtime: Runtime) -> Controller:
    return Controller(
        runtime.registry,
        runtime.exposure_counter,
        lambda now_us, reason: runtime.actor("governor", reason, now_us),
        shadows=runtime.shadow_counter,
    )


@pytest.fixture
def home(tmp_path: Path) -> Runtime:
    runtime = faulty.open_home(tmp_path / "home", ManualClock(NOW_US + 1))
    faulty.fill(runtime)
    return runtime


def test_a_twin_of_the_champion_agrees_with_it(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    runner = shadowed.runner()
    shadowed.serve(300)
    assert run_dry(runner) == 300
    arms = shadowed.result().sums
    counts = {arm: slices[""].answers.answers for arm, slices in arms.items()}
    assert sum(counts.values()) == 300
    assert 30 < counts["control"] < 90  # a fifth
    for slices in arms.values():
        means = {name: moments.mean for name, moments in slices[""].measures.items()}
        assert means == pytest.approx(
            {"overlap": 1.0, "rbo": 1.0, "same_first": 1.0, "rank_shift": 0.0, "score_difference": 0.0}
        )
    assert (failed(shadowed.result()), shadowed.result().left_out) == ({"control": {}, "candidate": {}}, {})


def test_what_is_summed_is_what_a_naive_comparison_finds(home: Runtime) -> None:
    """The candidate ranks from the other end: nothing of the champion's lists is in its own, but for few items."""
    shadowed = Shadowed(home, Faulty(sign=-1), shadow(slices="user"))
    runner = shadowed.runner()
    served = shadowed.serve(240)
    run_dry(runner)
    naive: dict[str, list[float]] = {}
    drawn = 0
    engine = runner._refresher.engine
    for prediction in served:
        request = RequestReader(home.app.task.about.request, home.clock, random.Random(1)).plain(prediction.key)
        (response,), _ = engine.ask("v2", [request])
        assert not isinstance(response, str)
        measured = agreement(response_of(prediction), response)
        naive.setdefault(prediction.key, []).append(measured["overlap"])
        drawn += 1
    sums = shadowed.result().sums["candidate"]
    assert sums[""].measures["overlap"].mean == pytest.approx(0.0, abs=0.2)
    assert len(sums) == 31
    for name, moments in ((name, one.measures["overlap"]) for name, one in sums.items() if name):
        assert moments.mean == pytest.approx(np.mean(naive[name.removeprefix("user=")]))
    again = shadowed.result().sums["control"][""].measures["overlap"]
    assert again.mean == 1.0
    assert again.count + sums[""].measures["overlap"].count == drawn


@pytest.mark.parametrize(("broken", "why"), [("raise", "load"), ("nan", "score"), ("shape", "score")])
def test_a_crashing_candidate_counts_its_failures_and_is_aborted(home: Runtime, broken: str, why: str) -> None:
    """One that raises whenever it is asked cannot be loaded: it is asked once before the first request."""
    shadowed = Shadowed(home, Faulty(mode=broken))
    runner = shadowed.runner()
    served = shadowed.serve(400)
    run_dry(runner)
    assert {(prediction.version, prediction.failed) for prediction in served} == {("v1", "")}
    assert failed(shadowed.result()) == {"control": {}, "candidate": {why: shadowed.answers("candidate")}}
    (change,) = controller(home).step(NOW_US + 10)
    assert "now aborted" in change.message
    assert find_release(home.registry, current(home.registry), "rel2").state == "aborted"
    assert home.registry.release_steps(2)[-1].reason.startswith("failed: 100.00%")


def test_one_that_ended_the_process_when_it_was_loaded_is_not_loaded_again(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    runner = shadowed.runner(guard=Remembers("load v2"))
    shadowed.serve(40)
    assert run_dry(runner) == 40
    assert failed(shadowed.result()) == {"control": {}, "candidate": {"load": shadowed.answers("candidate")}}


def test_a_slow_candidate_keeps_the_budget_and_counts_as_late(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty(), shadow(budget=0.25))
    runner = shadowed.runner(stopwatch=Steady(0.4))  # above the deadline of 300 ms
    shadowed.serve(100)
    step = runner.step()
    assert step.looked < 5  # a step ends after half a second, whatever waits
    assert step.rest_s >= 3 * 0.4
    run_dry(runner)
    assert failed(shadowed.result())["candidate"] == {"late": shadowed.answers("candidate")}


def test_what_waits_beyond_the_bound_is_left_out_and_counted(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    runner = shadowed.runner(behind=100)
    shadowed.serve(1_000)
    answered = run_dry(runner)
    left_out = shadowed.result().left_out
    assert left_out["too many waited"] + answered == 1_000
    assert 100 - 4 <= answered <= 100 + 4  # of each partition its part, rounded


def test_while_served_answers_wait_it_takes_up_nothing(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    pressed = [True]
    runner = shadowed.runner(pressed=lambda: pressed[0])
    shadowed.serve(50)
    assert run_dry(runner) == 0
    assert shadowed.result().left_out == {"served answers waited": 50}
    pressed[0] = False
    shadowed.serve(20)
    assert run_dry(runner) == 20


def test_a_restart_goes_on_where_it_was(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    first = shadowed.runner()
    shadowed.serve(100)
    assert first.step().answered == BATCH
    second = ShadowRunner(home, home.clock, shadowed.stopwatch)
    answered = run_dry(second)
    assert (answered, run_dry(first)) == (100 - BATCH, 0)
    assert sum(slices[""].answers.answers for slices in shadowed.result().sums.values()) == 100


def test_a_request_that_ended_the_process_counts_once_and_is_not_tried_again(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    shadowed.runner()
    served = shadowed.serve(40)
    second = ShadowRunner(home, home.clock, shadowed.stopwatch, Remembers(f"answer {served[3].id}"))
    assert second.step().looked == 1  # one by one, so that what a second crash undoes is little
    assert 1 + run_dry(second) == 40
    third = ShadowRunner(home, home.clock, shadowed.stopwatch)
    assert run_dry(third) == 0
    assert sum(counts.get(CRASH, 0) for counts in failed(shadowed.result()).values()) == 1


def test_each_answer_is_noted_before_it_begins(home: Runtime) -> None:
    shadowed, guard = Shadowed(home, Faulty()), Remembers()
    runner = shadowed.runner(guard=guard)
    assert "load v2" in guard.begun
    (prediction,) = shadowed.serve(1)
    guard.begun.clear()
    run_dry(runner)
    assert guard.begun.index(f"answer {prediction.id}") < len(guard.begun) - 1
    assert guard.begun[guard.begun.index(f"answer {prediction.id}") + 1] == ""


def test_only_what_is_drawn_and_targeted_is_answered(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty(), shadow(10, only={"user": [1, 2, 3]}))
    runner = shadowed.runner(behind=10_000)
    served = shadowed.serve(3_000)
    assert len([prediction for prediction in served if prediction.key in {"1", "2", "3"}]) == 300
    assert 15 <= run_dry(runner) <= 50  # a tenth of those: 30
    assert shadowed.result().left_out == {}


def test_what_the_champion_did_not_answer_is_not_compared(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    runner = shadowed.runner()
    reader = RequestReader(home.app.task.about.request, home.clock, shadowed.ids)
    late = [shadowed.refresher.engine.from_fallback(reader.plain(number + 1), "late") for number in range(7)]
    home.predictions.append([prediction_record(prediction) for prediction in late])
    assert run_dry(runner) == 0
    assert shadowed.result().left_out == {"not answered by the champion": 7}


def test_what_answers_users_does_not_load_the_candidate_of_a_shadow(home: Runtime) -> None:
    shadowed = Shadowed(home, Faulty())
    assert set(shadowed.refresher.engine.serving.pipelines) == {"v1"}
    state = current(home.registry)
    assert (versions_to_serve(state), versions_in_service(state)) == (["v1"], ["v1", "v2"])
    reader = RequestReader(home.app.task.about.request, home.clock, shadowed.ids)
    forced = msgspec.structs.replace(reader.plain(1), arm="candidate")
    assert shadowed.refresher.engine.answer([forced])[0].version == "v1"  # unseen, also by testers


def test_from_the_shadow_to_the_canary_by_what_was_shown(home: Runtime) -> None:
    hour_us = 3_600_000_000
    shadowed = Shadowed(home, Faulty(sign=-1), canary(10, 100, shadow="1h", silence="2h"))
    runner, governor = shadowed.runner(behind=10_000), controller(home)
    for count in (500, 7_000):
        assert governor.step(NOW_US + hour_us) == []  # the time has come, but not the evidence
        shadowed.serve(count)
        run_dry(runner)
    assert governor.step(NOW_US + hour_us - 1) == []  # and now the evidence, but not the time
    (change,) = governor.step(NOW_US + hour_us)
    assert change.message == "rel2: shadow before, now canary at 10 % (step 1 of 2)"
    step = home.registry.release_steps(2)[-1]
    assert (step.command, step.reason) == (
        "advance",
        f"every guardrail is within its margin over {shadowed.answers('candidate'):,} answers of the shadow",
    )
    assert "v2" in versions_to_serve(current(home.registry))
    assert run_dry(runner) == 0
