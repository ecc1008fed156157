"""What users did comes to the controller with its sign set right, and what cannot be computed lets nothing through."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flyball.core import Refused
from flyball.experiments import MetricResult
from flyball.operations import release_metrics
from flyball.operations.release_metrics import EVERY_US, ReleaseMetrics, metric_evidence
from flyball.releases import KnownMetrics, Release, ReleaseArm
from flyball.statistics import Inference, sample_ratio

ARMS = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))
RELEASE = Release(
    id="rel2", kind="canary", state="canary", arms=ARMS, salt="s", success={"liked": 0.01}, harmful={"hidden": 0.02}
)


def result(name: str, better: str = "high", **fields: Any) -> MetricResult:
    known = Inference("m", "anytime", 0.1, -0.2, 0.4, 0.5, 0.05, 10, 10)
    return MetricResult(
        metric=name, arm="candidate", role="primary", kind="rate", better=better, inference=known, **fields
    )


def test_above_zero_is_better_whichever_way_the_metric_points() -> None:
    liked, hidden = metric_evidence(result("liked"), RELEASE), metric_evidence(result("hidden", "low"), RELEASE)
    assert (liked.role, liked.effect, liked.low, liked.high) == ("success", 0.1, -0.2, 0.4)
    assert (hidden.role, hidden.effect, hidden.low, hidden.high) == ("harmful", -0.1, -0.4, 0.2)


def test_nothing_known_is_missing() -> None:
    nothing = MetricResult(metric="liked", arm="candidate", role="primary", kind="rate", better="high")
    assert metric_evidence(nothing, RELEASE).missing == "nothing was measured yet"
    assert metric_evidence(result("liked", missing="units"), RELEASE).missing == "units"


@pytest.fixture(autouse=True)
def _no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReleaseMetrics, "_reader", lambda self, release, now_us: SimpleNamespace(units=lambda at: None))


def test_a_look_holds_for_a_while_and_the_sample_ratio_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def experiment(runtime: Any, release: Release, now_us: int, **named: Any) -> Any:
        looks.append(now_us)
        split = sample_ratio([10_000, 11_000], [1, 1])
        return SimpleNamespace(sample_ratio=split, comparable=False, metrics=(result("liked"), result("other")))

    monkeypatch.setattr(release_metrics, "release_results", experiment)
    read = ReleaseMetrics(SimpleNamespace())  # type: ignore[arg-type]
    for now_us in (5, 6, 4 + EVERY_US, 5 + EVERY_US, 3):
        measured, blocked = read(RELEASE, now_us)
        assert [evidence.name for evidence in measured] == ["liked"]
        assert "not split as declared" in blocked
    assert looks == [5, 5 + EVERY_US, 3]  # a clock that was set back looks again


def test_what_cannot_be_computed_is_missing_of_every_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    def experiment(runtime: Any, release: Release, now_us: int, **named: Any) -> Any:
        raise Refused("the log is away")

    monkeypatch.setattr(release_metrics, "release_results", experiment)
    measured, blocked = ReleaseMetrics(SimpleNamespace())(RELEASE, 1)  # type: ignore[arg-type]
    assert {(evidence.name, evidence.missing) for evidence in measured} == {
        ("liked", "the log is away"),
        ("hidden", "the log is away"),
    }
    assert blocked == ""


def test_what_was_measured_is_left_for_whoever_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = SimpleNamespace(sample_ratio=None, comparable=True, metrics=(result("liked"),))
    monkeypatch.setattr(release_metrics, "release_results", lambda runtime, release, now_us, **named: measured)
    kept = KnownMetrics(tmp_path / "metrics")
    evidence, _ = ReleaseMetrics(SimpleNamespace(), kept)(RELEASE, 5)  # type: ignore[arg-type]
    assert kept(RELEASE, 6) == (tuple(evidence), "")
