"""What was measured last is there for others, also intervals without an end; a file that is damaged says nothing."""

from pathlib import Path

from flyball.releases import ArmReward, KnownMetrics, MetricEvidence, Release, ReleaseArm

ARMS = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))


def release(name: str) -> Release:
    return Release(id=name, kind="ab", state="ab", arms=ARMS, salt=name)


def test_the_last_measurement_of_each_release_is_kept(tmp_path: Path) -> None:
    kept = KnownMetrics(tmp_path / "run" / "release_metrics")
    assert kept(release("rel1"), 5) == ((), "")
    first = MetricEvidence("liked", "candidate", "success", 0.1, missing="units", sentence="liked: wait")
    second = MetricEvidence("liked", "candidate", "success", 0.2, 0.1, 0.3)
    kept.note(release("rel1"), 5, [first], "")
    kept.note(release("rel2"), 6, [second], "units are lost")
    assert KnownMetrics(tmp_path / "run" / "release_metrics")(release("rel1"), 9) == ((first,), "")
    assert kept(release("rel2"), 9) == ((second,), "units are lost")
    kept.note(release("rel1"), 7, [second], "")
    assert kept(release("rel1"), 9) == ((second,), "")
    (tmp_path / "run" / "release_metrics").write_bytes(b"damaged")
    assert kept(release("rel1"), 9) == ((), "")


def test_rewards_and_metrics_of_a_release_are_kept_side_by_side(tmp_path: Path) -> None:
    kept = KnownMetrics(tmp_path / "run" / "release_metrics")
    assert kept.rewards(release("rel1"), 5) == ((), True)
    metric = MetricEvidence("hidden", "candidate", "harmful", 0.1)
    rewards = [ArmReward("control", "", 7, 6.5, 0.25, 0.25), ArmReward("candidate", "", 3, 3.0, 0.5, 0.5)]
    kept.note_rewards(release("rel1"), rewards[:1], True)
    kept.note(release("rel1"), 5, [metric], "")
    kept.note_rewards(release("rel1"), rewards, False)
    assert kept.rewards(release("rel1"), 9) == (tuple(rewards), False)
    assert kept(release("rel1"), 9) == ((metric,), "")
    assert kept.rewards(release("rel2"), 9) == ((), True)
