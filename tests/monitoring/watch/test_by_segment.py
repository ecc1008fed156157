"""Prices that change sign in one segment of a shop are found with the name of the segment, in every round."""

from pathlib import Path

from tests.monitoring.watch.shops import DAY_US, DAYS, FAULT_HOUR, START_US, shop

from flyball.monitoring import Watcher


def test_the_segment_of_a_change_is_named_in_every_round(tmp_path: Path) -> None:
    """Of thirty items no segments are made; a coupon is one of two."""

    def change(hour: int, event: dict[str, object]) -> dict[str, object]:
        flipped = hour >= FAULT_HOUR and "coupon" not in event
        return {**event, "price": -event["price"]} if flipped else event  # type: ignore[operator]

    runtime = shop(tmp_path, DAYS, change)
    rounds = Watcher(runtime, lambda latest: None).step(runtime.clock.now_us(), START_US + 29 * DAY_US)
    findings = [f for latest in rounds for f in latest.decision.findings if f.subject == "events.buy.price"]
    assert len(findings) > 1
    segments = [finding.evidence.get("segment") for finding in findings]
    assert segments.index("coupon=missing") <= 2  # so many rows must have the other value, too
    assert set(segments[2:]) == {"coupon=missing"}
    assert "; it is where coupon is missing" in findings[-1].message
