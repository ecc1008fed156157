"""The generator of a flood: what it counts is what the service counted."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.serving.over_tcp import listening, post

from flyball.runtime import Runtime
from flyball.testing.flood import flood

pytestmark = pytest.mark.anyio

GOOD, BAD = post("/v1/recommend", b'{"user": 7}'), post("/v1/recommend", b'{"user": 0}')


class Steps:
    """A stopwatch that is read 60 times in a second of its own."""

    def __init__(self) -> None:
        self.reads = 0

    def read_s(self) -> float:
        self.reads += 1
        return self.reads / 60


async def test_each_answer_is_counted_and_the_rate_is_offered(home: Runtime, call: Callable[..., Any]) -> None:
    async with call(home) as caller, listening(caller.service) as port:
        report = await asyncio.to_thread(flood, port, [GOOD, BAD], 120.0, 1.0, 2, Steps())
        counters = caller.service.metrics.counters
        assert report.offered == report.sent + report.held_back
        assert 115 <= report.offered <= 120
        assert report.closed == 0
        assert 0 < report.answers["200"] <= counters.get("http|2xx")
        assert 0 < report.answers["400"] <= counters.get("http|4xx")
        assert sum(report.answers.values()) <= report.sent
