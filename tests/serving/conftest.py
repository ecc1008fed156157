"""A home with a small application in it, and a service over it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from flyball.core import ManualClock, ManualStopwatch, SystemClock
from flyball.runtime import Runtime
from flyball.serving import Service, make_app
from flyball.testing import faulty


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Runtime]:
    """Nothing in it yet."""
    runtime = faulty.open_home(tmp_path / "home", ManualClock(faulty.START_US + 2 * faulty.DAY_US))
    yield runtime
    runtime.state.close()


@pytest.fixture
def home(empty: Runtime) -> Runtime:
    """Films, users and what they watched."""
    faulty.fill(empty)
    return empty


class Caller:
    """A service and a client that calls it in process. No deadline passes unless `stopwatch` is moved."""

    def __init__(self, service: Service, client: httpx.AsyncClient, stopwatch: ManualStopwatch) -> None:
        self.service, self.client, self.stopwatch = service, client, stopwatch

    async def until(self, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        """Wait until `holds`; fails when it does not in time."""
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.01)

    async def get(self, path: str, **more: object) -> httpx.Response:
        return await self.client.get(path, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def calling(runtime: Runtime, wait: bool = True) -> AsyncIterator[Caller]:
    stopwatch = ManualStopwatch()
    service = Service(runtime, "test", random.Random(1), clock=SystemClock(), stopwatch=stopwatch)
    app = make_app(service)
    await service.start()
    try:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            caller = Caller(service, client, stopwatch)
            if wait:
                await caller.until(lambda: not service.refresher.unready() or bool(service.engine.serving.refused))
            yield caller
    finally:
        await service.stop()


@pytest.fixture
def call() -> Callable[..., object]:
    """`async with call(runtime) as caller:` a started service, ready to answer."""
    return calling


@pytest.fixture(autouse=True)
def nothing_held() -> Iterator[None]:
    """No scoring thread stays held when a test is over."""
    faulty.LET_GO.clear()
    yield
    faulty.LET_GO.set()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
