"""Who is not let in leaves a trace: a counter by reason and a line a minute."""

import logging
import random

import httpx
import pytest
from tests.serving.locked import bearer, lock_home, refresh

from flyball.access.key_text import KeyText
from flyball.core import ManualStopwatch
from flyball.runtime import Runtime
from flyball.serving import Service, make_app, metrics_text
from flyball.serving.metrics import REFUSED

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_refusals_are_counted_by_reason_and_logged_once_a_minute(
    home: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "flyball.limits")
    keys = lock_home(home, limit_answers="1/s")
    service = Service(home, "test", random.Random(1), stopwatch=ManualStopwatch())
    refresh(service)
    transport = httpx.ASGITransport(app=make_app(service), client=("203.0.113.9", 7))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        statuses = [(await client.get("/v1/releases")).status_code for _ in range(2)]
        statuses.append((await client.get("/v1/audit", headers=bearer(keys["serve"]))).status_code)
        key_id = keys["read"].split("_")[1]
        for number in range(8):
            guess = KeyText(key_id, f"{number:028d}").text
            statuses.append((await client.get("/v1/releases", headers=bearer(guess))).status_code)
    counted = {reason: service.metrics.counters.get(f"not_let_in|{reason}") for reason in REFUSED}
    assert counted == {
        "no-key": statuses.count(401),
        "not-allowed": statuses.count(403),
        "too-many": statuses.count(429),
    }
    assert (counted["no-key"] >= 2 + 5, counted["not-allowed"], counted["too-many"] > 0) == (True, 1, True)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "not let in, refused since the last such line: 1 no-key of 203.0.113.9"
    text = metrics_text(home.counters_folder, {}, {}).decode()
    assert f'flyball_not_let_in_total{{reason="no-key"}} {counted["no-key"]}.0' in text


def test_all_reasons_are_there_from_the_start(home: Runtime) -> None:
    service = Service(home, "test", random.Random(1))
    assert 'flyball_not_let_in_total{reason="too-many"} 0.0' in metrics_text(service.metrics.folder, {}, {}).decode()
