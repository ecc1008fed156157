"""The rates of a service: from its settings, and none where only this machine reaches it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.access import Identity, anyone
from flyball.core import ManualStopwatch, SystemClock
from flyball.runtime import Runtime
from flyball.serving.metrics import ServingMetrics
from flyball.serving.request_limits import RequestLimits, rate_text
from flyball.settings import LIMITS
from flyball.testing import faulty

KEY = Identity("key a (a)", frozenset({"serve"}), key_id="a")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "none"),
        ({"host": "::1"}, "none"),
        ({"host": "0.0.0.0"}, LIMITS["limit_answers"]),
        ({"limit_answers": "5/s"}, "5/s"),
        ({"host": "0.0.0.0", "limit_answers": "none"}, "none"),
    ],
)
def test_the_rate_of_answers(empty: Runtime, changed: dict[str, Any], text: str) -> None:
    assert rate_text(msgspec.structs.replace(empty.settings, **changed), "answers") == text


def test_serving_processes_share_their_buckets(empty: Runtime) -> None:
    empty.settings = msgspec.structs.replace(empty.settings, limit_answers="1/m, burst 3")
    stopwatch = ManualStopwatch()
    processes = [
        RequestLimits(empty, ServingMetrics(empty.counters_folder, name, stopwatch), stopwatch) for name in "ab"
    ]
    waits = [process.wait_s("answers", anyone(()), "192.0.2.1") for process in processes * 2]
    assert waits == [0, 0, 0, 60]
    assert processes[0].wait_s("events", anyone(()), "192.0.2.1", 1_000) == 0


def machines(folder: Path, count: int, monkeypatch: pytest.MonkeyPatch, **settings: str) -> list[Runtime]:
    """Homes of as many machines, which share a registry."""
    monkeypatch.setattr(Runtime, "shares_registry", True)
    registry = f"sqlite://{folder}/registry.db"
    opened = [faulty.open_home(folder / f"home-{number}", SystemClock()) for number in range(count)]
    for home in opened:
        home.settings = msgspec.structs.replace(home.settings, registry=registry, **settings)
    return opened


@pytest.mark.parametrize("count", [1, 3])
def test_machines_admit_no_more_than_a_burst_each_and_then_pay_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """A sender that asks all machines as fast as it can; a minute of the stopwatch, whose reading the registry takes as
    its own time: each machine looks every half second."""
    stopwatch = ManualStopwatch()
    homes = machines(tmp_path, count, monkeypatch, limit_answers="2/s, burst 10")
    limits = [RequestLimits(home, ServingMetrics(home.counters_folder, "a", stopwatch), stopwatch) for home in homes]
    admitted = 0
    for _ in range(120):
        for home in homes:
            home.registry.database.now_us_sql = str(10**15 + int(stopwatch.read_s() * 1e6))  # type: ignore[misc]
        for machine in limits:
            admitted += sum(not machine.wait_s("answers", KEY, "192.0.2.1") for _ in range(20))
        for machine in limits:
            machine.step()
        stopwatch.advance_s(0.5)
    within = 2 * 60 + 10
    assert within - 12 <= admitted <= within + count * 10, "bursts at first, and the rate in the long run"
    assert count == 1 or admitted < within + count * 10


def test_a_sender_at_its_rate_is_not_refused_by_what_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopwatch = ManualStopwatch()
    (home,) = machines(tmp_path, 1, monkeypatch, limit_answers="90/m")
    limits = RequestLimits(home, ServingMetrics(home.counters_folder, "a", stopwatch), stopwatch)
    for _ in range(60):
        home.registry.database.now_us_sql = str(10**15 + int(stopwatch.read_s() * 1e6))  # type: ignore[misc]
        assert limits.wait_s("answers", KEY, "192.0.2.1") == 0
        stopwatch.advance_s(0.4)
        home.registry.database.now_us_sql = str(10**15 + int(stopwatch.read_s() * 1e6))  # type: ignore[misc]
        limits.step()
        stopwatch.advance_s(0.27)


def test_without_other_machines_the_registry_is_not_written(empty: Runtime) -> None:
    empty.settings = msgspec.structs.replace(empty.settings, limit_answers="1/m")
    stopwatch = ManualStopwatch()
    limits = RequestLimits(empty, ServingMetrics(empty.counters_folder, "a", stopwatch), stopwatch)
    assert limits.wait_s("answers", KEY, "192.0.2.1") == 0
    assert limits.step() == 0


def test_a_key_may_have_limits_of_its_own_where_the_settings_have_none(empty: Runtime) -> None:
    stopwatch = ManualStopwatch()
    limits = RequestLimits(empty, ServingMetrics(empty.counters_folder, "a", stopwatch), stopwatch)
    own = Identity("key a (a)", frozenset({"serve"}), key_id="a", limits={"answers": "1/m, burst 2"})
    assert [limits.wait_s("answers", own, "192.0.2.1") for _ in range(3)] == [0, 0, 60]
    assert limits.wait_s("events", own, "192.0.2.1", 10_000) == 0
    assert limits.text("answers", own) == "1/m, burst 2"
    assert limits.rate("answers", anyone(())) is None
