"""A machine learns by the registry whom another one has erased, and what senders took of their limits there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.core import ManualStopwatch, SystemClock
from flyball.registry import share_erased
from flyball.runtime import Runtime
from flyball.serving.metrics import ServingMetrics
from flyball.serving.other_machines import OtherMachines
from flyball.serving.request_limits import RequestLimits
from flyball.testing import faulty

pytestmark = pytest.mark.anyio
MINUTE_US = 60_000_000


async def test_who_was_erased_on_another_machine_does_not_come_back_on_this_one(
    home: Runtime, call: Callable[..., Any], tmp_path: Path
) -> None:
    other, now_us = faulty.open_home(tmp_path / "other", SystemClock()), SystemClock().now_us()
    other.settings = msgspec.structs.replace(other.settings, registry=home.settings.registry)
    about = {"type": "watch", "film": "film-1", "at": now_us - MINUTE_US}
    async with call(home) as caller:
        exchange = OtherMachines(home, caller.service.limits, caller.service.metrics)

        async def verdict(**event: object) -> str:
            summary = (await caller.client.post("/v1/events", json=[{**about, **event}, {"type": "watch"}])).json()
            return str(summary["events"][0]["verdict"])

        exchange.step()
        assert await verdict(user=7) == "accepted"
        home.erased.add([("user", "6")], now_us)  # its own key of digests
        other.erased.add([("user", "7"), ("user", "9")], now_us)
        share_erased(other.registry, other.erased.own_digests)
        exchange.step()
        exchange.step()
        assert [await verdict(user=user, film="film-2") for user in (7, 9, 8, 6)] == [
            "erased",
            "erased",
            "accepted",
            "erased",
        ]
        assert await verdict(user=7, at=SystemClock().now_us()) == "accepted", "somebody new"
        assert home.layout.erased.with_stem("erased_elsewhere").stat().st_mode & 0o777 == 0o600


async def test_a_registry_that_is_away_is_counted_and_changes_nothing(home: Runtime) -> None:
    stopwatch = ManualStopwatch()
    metrics = ServingMetrics(home.counters_folder, "a", stopwatch)
    limits = RequestLimits(home, metrics, stopwatch)

    def away(*arguments: object, **values: object) -> Any:
        raise OSError("the registry is away")

    home.registry.database.rows = away  # type: ignore[method-assign]
    OtherMachines(home, limits, metrics).step()
    assert metrics.counters.get("failures|poll") == 1
