"""One listening socket, several workers: an even share, and none lost when a worker goes."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from flyball.core import ManualStopwatch
from flyball.serving import ConnectionLimits, Dispatcher, Receiver

pytestmark = pytest.mark.anyio


class Named(asyncio.Protocol):
    """Answers whatever comes with the worker's name."""

    def __init__(self, worker: "Worker") -> None:
        self.worker = worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.worker.transports.add(transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.worker.name.encode())

    def connection_lost(self, error: Exception | None) -> None:
        self.worker.transports.discard(self.transport)
        self.worker.receiver.closed_one(self)


class Worker:
    def __init__(self, dispatcher: Dispatcher, name: str, ready: bool = True) -> None:
        self.name = name
        self.transports: set[asyncio.Transport] = set()
        self.receiver = Receiver(dispatcher.add_worker(name), lambda: Named(self))
        self.receiver.start(asyncio.get_running_loop())
        if ready:
            self.receiver.announce()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self) -> str:
        self.writer.write(b"?")
        async with asyncio.timeout(60):
            return (await self.reader.read(1_000)).decode()

    def close(self) -> None:
        self.writer.close()


class Floor:
    """A dispatcher, its workers and their clients, all closed at the end."""

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.limits = limits or ConnectionLimits()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.dispatcher = Dispatcher(self.listener, limits=self.limits)
        self.dispatcher.start()
        self.workers: list[Worker] = []
        self.clients: list[Client] = []

    async def worker(self, name: str, ready: bool = True) -> Worker:
        self.workers.append(Worker(self.dispatcher, name, ready))
        if ready:
            await until(lambda: name in [worker.name for worker in self.dispatcher._ready()])
        return self.workers[-1]

    async def connect(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection(*self.listener.getsockname())))
        return self.clients[-1]

    async def close(self) -> None:
        self.dispatcher.stop()
        self.listener.close()
        for client in self.clients:
            client.writer.close()
            with suppress(ConnectionError):  # of those that a dead worker had taken
                await client.writer.wait_closed()
        for worker in self.workers:
            async with asyncio.timeout(60):
                await worker.receiver.wait_closed()
            await until(lambda worker=worker: not worker.transports)


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    floor = Floor()
    yield floor
    await floor.close()


async def until(holds: object) -> None:
    async with asyncio.timeout(60):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_few_connections_are_shared_evenly(floor: Floor) -> None:
    for name in "ab":
        await floor.worker(name)
    clients = [await floor.connect() for _ in range(8)]
    answers = [await client.ask() for client in clients]
    assert sorted(answers) == ["a"] * 4 + ["b"] * 4
    assert floor.dispatcher.shares() == {"a": (4, 4), "b": (4, 4)}
    for client in clients:
        client.close()
    await until(lambda: floor.dispatcher.shares() == {"a": (4, 0), "b": (4, 0)})


async def test_a_new_connection_goes_to_the_worker_with_the_fewest_open(floor: Floor) -> None:
    for name in "ab":
        await floor.worker(name)
    clients = [await floor.connect() for _ in range(6)]
    of_a = [client for client in clients if await client.ask() == "a"]
    for client in of_a:
        client.close()
    await until(lambda: floor.dispatcher.shares()["a"][1] == 0)
    assert [await (await floor.connect()).ask() for _ in range(3)] == ["a"] * 3


async def test_a_worker_that_dies_is_left_out(floor: Floor) -> None:
    await floor.worker("a")
    dead = floor.dispatcher.add_worker("b")
    dead.send(b"r")
    await until(lambda: len(floor.dispatcher._ready()) == 2)
    dead.close()
    assert [await (await floor.connect()).ask() for _ in range(4)] == ["a"] * 4


async def test_what_a_dead_worker_had_not_taken_goes_to_the_others(floor: Floor) -> None:
    dying = floor.dispatcher.add_worker("a")
    dying.send(b"r")
    await until(lambda: len(floor.dispatcher._ready()) == 1)
    waiting = [asyncio.create_task((await floor.connect()).ask()) for _ in range(8)]
    await until(lambda: floor.dispatcher.shares() == {"a": (8, 8)})
    dying.send(b"k" * 3)  # the last that it tells: it has taken three
    dying.close()
    await floor.worker("b")
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(answer) for answer in answers[3:]] == ["b"] * 5
    assert not [answer for answer in answers[:3] if answer == "b"]
    assert floor.dispatcher.shares() == {"a": (8, 0), "b": (5, 5)}


async def test_a_worker_is_reported_dead_by_the_first_connection_that_it_cannot_be_given(floor: Floor) -> None:
    """Connections that were passed before it are the next worker's too."""
    dying = floor.dispatcher.add_worker("a")
    dying.send(b"r")
    await until(lambda: len(floor.dispatcher._ready()) == 1)
    with floor.dispatcher._lock:  # the thread cannot look at the channel meanwhile
        waiting = [asyncio.create_task((await floor.connect()).ask()) for _ in range(2)]
        dying.close()
    await floor.worker("b")
    assert await asyncio.gather(*waiting) == ["b", "b"]


async def test_a_worker_that_starts_is_given_nothing_until_it_can_answer(floor: Floor) -> None:
    await floor.worker("a")
    starting = await floor.worker("b", ready=False)
    dying = floor.dispatcher.add_worker("c")
    assert [await (await floor.connect()).ask() for _ in range(4)] == ["a"] * 4
    dying.close()
    starting.receiver.announce()
    await until(lambda: len(floor.dispatcher._ready()) == 2)
    assert [await (await floor.connect()).ask() for _ in range(4)] == ["b"] * 4


async def test_when_none_is_ready_in_time_a_poor_answer_is_better_than_none(floor: Floor) -> None:
    stopwatch = ManualStopwatch()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dispatcher = Dispatcher(listener, stopwatch, patience_s=3.0)
        dispatcher.start()
        slow = Worker(dispatcher, "slow", ready=False)
        floor.workers.append(slow)
        await until(lambda: dispatcher._wait_s() == 3.0)
        client = Client(*await asyncio.open_connection(*listener.getsockname()))
        floor.clients.append(client)
        stopwatch.advance_s(2.9)
        dispatcher._wake.send(b"w")
        waiting = asyncio.create_task(client.ask())
        await asyncio.sleep(0.05)
        assert dispatcher.shares() == {"slow": (0, 0)}
        stopwatch.advance_s(0.2)
        assert await waiting == "slow"
        floor.workers.append(Worker(dispatcher, "good"))  # one that is ready comes before it
        await until(lambda: [worker.name for worker in dispatcher._ready()] == ["good"])
        for _ in range(3):
            floor.clients.append(Client(*await asyncio.open_connection(*listener.getsockname())))
            assert await floor.clients[-1].ask() == "good"
        dispatcher.stop()


async def test_without_a_worker_clients_wait_for_one(floor: Floor) -> None:
    client = await floor.connect()
    waiting = asyncio.create_task(client.ask())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await floor.worker("a")
    assert await waiting == "a"


async def test_clients_wait_for_a_worker_that_is_too_busy_to_take_them(floor: Floor) -> None:
    """A loop that compiles or loads for seconds reads nothing from its channel, which then is full."""
    channel = floor.dispatcher.add_worker("busy")
    channel.send(b"tr")
    await until(floor.dispatcher._ready)
    waiting = []
    while not floor.dispatcher._returned:  # until its channel takes no more
        waiting.append(asyncio.create_task((await floor.connect()).ask()))
        assert not any(task.done() for task in waiting)
    waiting += [asyncio.create_task((await floor.connect()).ask()) for _ in range(20)]
    worker = object.__new__(Worker)
    worker.name, worker.transports = "busy", set()
    worker.receiver = Receiver(channel, lambda: Named(worker))
    worker.receiver.start(asyncio.get_running_loop())
    floor.workers.append(worker)
    assert set(await asyncio.gather(*waiting)) == {"busy"}


async def test_whoever_connected_before_the_end_is_answered_and_later_ones_are_refused(floor: Floor) -> None:
    early = await floor.connect()  # no worker yet: it waits
    asked = asyncio.create_task(early.ask())
    await asyncio.sleep(0)
    await asyncio.to_thread(floor.dispatcher.close_listener)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*early.writer.get_extra_info("peername"))
    await asyncio.to_thread(floor.dispatcher.stop)
    answer = await asked
    assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    assert "\r\nretry-after: 1\r\n" in answer


async def test_whoever_connected_before_the_end_is_served_by_a_worker(floor: Floor) -> None:
    await floor.worker("a")
    client = await floor.connect()
    await asyncio.to_thread(floor.dispatcher.close_listener)
    assert await client.ask() == "a"


async def test_a_worker_that_drains_serves_what_was_on_its_way_and_gets_no_more(floor: Floor) -> None:
    first = await floor.worker("a")
    await floor.worker("b")
    before = [await floor.connect() for _ in range(4)]
    await until(lambda: sum(given for given, _ in floor.dispatcher.shares().values()) == 4)
    await first.receiver.drain()
    after = [await floor.connect() for _ in range(3)]
    assert sorted([await client.ask() for client in before]) == ["a", "a", "b", "b"]
    assert [await client.ask() for client in after] == ["b"] * 3


async def test_a_worker_learns_that_the_parent_is_gone(floor: Floor) -> None:
    worker = await floor.worker("a")
    floor.dispatcher.stop()
    async with asyncio.timeout(60):
        await worker.receiver.wait_closed()


class Crowded:
    """A listening socket of a process that has no descriptor left, the first `times` a client comes."""

    def __init__(self, listener: socket.socket, times: int) -> None:
        self._listener, self.left = listener, times

    def accept(self) -> tuple[socket.socket, object]:
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()

    def fileno(self) -> int:
        return self._listener.fileno()

    def setblocking(self, flag: bool) -> None:
        self._listener.setblocking(flag)


async def test_without_free_descriptors_clients_wait_and_are_served_later(floor: Floor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        crowded = Crowded(listener, 3)
        dispatcher = Dispatcher(crowded)  # type: ignore[arg-type]
        dispatcher.start()
        floor.workers.append(Worker(dispatcher, "a"))
        client = Client(*await asyncio.open_connection(*listener.getsockname()))
        floor.clients.append(client)
        assert await client.ask() == "a"
        assert crowded.left == 0
        dispatcher.stop()


async def test_a_worker_without_a_free_descriptor_tells_that_the_connection_is_closed() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(60)
        receiver = Receiver(theirs, asyncio.Protocol)
        receiver.start(asyncio.get_running_loop())
        assert await asyncio.to_thread(ours.recv, 1) == b"t"
        ours.send(b"n")  # the descriptor that came with it was lost
        assert await asyncio.to_thread(ours.recv, 2) == b"0m"
        ours.close()
        await receiver.wait_closed()


async def test_a_worker_serves_a_connection_only_after_telling_that_it_took_it() -> None:
    """Whoever is not reported hands the connection to another worker: both would answer."""
    ours, theirs = socket.socketpair()
    served = asyncio.Event()

    class Served(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()
            served.set()

    with ours, socket.create_server(("127.0.0.1", 0)) as listener:
        ours.settimeout(60)
        receiver = Receiver(theirs, Served)
        receiver.start(asyncio.get_running_loop())
        for _ in range(3_000):  # the channel takes some 280 bytes that come one at a time
            receiver.closed_one()
        with socket.create_connection(listener.getsockname()):
            connection, _ = listener.accept()
            with connection:
                socket.send_fds(ours, [b"n"], [connection.fileno()])
            await until(lambda: receiver._taken)
            assert not served.is_set()
            heard = b""
            while not heard.endswith(b"k"):
                heard += await asyncio.to_thread(ours.recv, 4_096)
            assert heard == b"t" + b"c" * 3_000 + b"k"
            async with asyncio.timeout(60):
                await served.wait()
        ours.close()
        await receiver.wait_closed()


async def test_a_worker_whose_parent_is_slow_to_hear_goes_on_and_tells_all() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(60)
        receiver = Receiver(theirs, asyncio.Protocol)
        receiver.start(asyncio.get_running_loop())
        for _ in range(3_000):  # the channel takes some 280 bytes that come one at a time
            receiver.closed_one()
        receiver.announce()
        heard = b""
        while not heard.endswith(b"r") and (more := await asyncio.to_thread(ours.recv, 4_096)):
            heard += more
        assert heard == b"t" + b"c" * 3_000 + b"r"
        ours.close()
        await receiver.wait_closed()


async def test_connections_above_a_limit_are_closed_with_a_reason_and_leave_room_when_others_close() -> None:
    refused: list[str] = []
    limits = ConnectionLimits(most=3, refused=refused.append)
    floor = Floor(limits)
    try:
        for name in "ab":
            await floor.worker(name)
        clients = [await floor.connect() for _ in range(3)]
        assert {await client.ask() for client in clients} == {"a", "b"}
        answer = await (await floor.connect()).ask()
        assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
        assert "\r\nretry-after: 1\r\n" in answer
        assert refused == ["127.0.0.1"]
        clients[0].close()
        await until(lambda: limits.total == 2)
        assert await (await floor.connect()).ask() in "ab"
    finally:
        await floor.close()


async def test_the_connections_of_a_worker_that_died_are_counted_no_more(floor: Floor) -> None:
    dying = floor.dispatcher.add_worker("a")
    dying.send(b"r")
    await until(lambda: len(floor.dispatcher._ready()) == 1)
    waiting = [asyncio.create_task((await floor.connect()).ask()) for _ in range(8)]
    await until(lambda: floor.dispatcher.shares() == {"a": (8, 8)})
    dying.send(b"kkk1")  # took three, and closed the second: the message came in two parts
    await until(lambda: floor.dispatcher._workers[0].unread == b"1")
    dying.send(b"c")
    await until(lambda: floor.limits.total == 7)
    dying.close()
    await until(lambda: floor.limits.total == 5)
    await floor.worker("b")
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(answer) for answer in answers[3:]] == ["b"] * 5
    for client in floor.clients:
        client.close()
    await until(lambda: floor.limits.total == 0)
