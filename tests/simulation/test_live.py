"""The live driver against services that behave, misbehave and go away."""

import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flyball.core import BadInput, ManualClock, format_timestamp, parse_timestamp
from flyball.simulation import Driver, DriveReport, HttpService, ProfileRow, World, drive_http, make_world
from flyball.simulation.worlds.movies.log_lines import DAY_US

TIME = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{3})?)?\Z")
NOW_US = parse_timestamp("2026-05-01T12:00:00Z")


class Watch:
    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def read_s(self) -> float:
        return self._clock.now_us() / 1e6


class Recording:
    """A service in memory that may be switched off."""

    def __init__(self, world: World) -> None:
        self.lines: list[bytes] = []
        self.profiles: list[ProfileRow] = []
        self.asked: list[str] = []
        self.away = False
        self._slugs = world.films.slugs[:20]

    def recommend(self, user: str) -> list[str] | None:
        if self.away:
            raise ConnectionRefusedError
        self.asked.append(user)
        return self._slugs

    def send(self, lines: list[bytes], profiles: list[ProfileRow]) -> int:
        if self.away:
            raise ConnectionRefusedError
        self.lines += lines
        self.profiles += profiles
        return len(lines)


def driven(seconds: float, lines_per_s: float = 100.0) -> tuple[Driver, Recording, ManualClock]:
    world = make_world(2_000, 300, seed=3, start_us=NOW_US - DAY_US)
    service, clock = Recording(world), ManualClock(NOW_US)
    driver = Driver(world, service, clock, Watch(clock), lines_per_s)
    for _ in range(int(seconds * 4)):
        clock.advance_us(250_000)
        driver.step()
    return driver, service, clock


def test_it_sends_about_the_wanted_rate() -> None:
    _, service, _ = driven(240)
    assert len(service.lines) / 240 == pytest.approx(100, rel=0.35)


def test_lines_carry_real_time_and_requests_what_was_shown() -> None:
    driver, service, clock = driven(30)
    times = [line.split(b",")[0].decode() for line in service.lines]
    first, last = format_timestamp(NOW_US)[:16], format_timestamp(clock.now_us())[:16]
    in_time = sum(first <= time[:16] <= last and TIME.match(time) is not None for time in times)
    assert in_time >= 0.995 * len(times)  # the rest is corrupted
    requests = [line for line in service.lines if b"recommendation request" in line]
    assert len(requests) == pytest.approx(len(service.asked), abs=5)
    assert driver.report.asks == driver.report.answered == len(service.asked)
    assert 0 < driver.report.taken_from_list < driver.report.asks


def test_while_the_service_is_away_the_world_waits_and_loses_nothing() -> None:
    driver, service, clock = driven(20)
    service.away = True
    clock.advance_us(250_000)
    with pytest.raises(ConnectionRefusedError):
        driver.step()
    waiting, world_us = driver._unsent[0], driver.world.now_us
    clock.advance_us(60_000_000)
    with pytest.raises(ConnectionRefusedError):
        driver.step()
    assert driver.world.now_us == world_us
    service.away, before = False, len(service.lines)
    driver.resume()
    driver.step()
    assert service.lines[before:] == waiting
    clock.advance_us(250_000)
    driver.step()
    assert driver.world.now_us - world_us <= 250_000 * driver.speed + 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lines: list[bytes]
    asked: list[str]
    refuse = 0

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self._answer(200, b"a+film+2000,another+film+2001\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if type(self).refuse > 0:
            type(self).refuse -= 1
            self._answer(503, b"")
            return
        if self.path.endswith("format=movielog"):
            self.lines.extend(body.split(b"\n"))
        self._answer(200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Handler.lines, Handler.asked, Handler.refuse = [], [], 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_over_http_it_asks_sends_and_outlives_refusals(server: ThreadingHTTPServer) -> None:
    Handler.refuse = 1
    world = make_world(500, 300, seed=3, start_us=NOW_US)
    stop = threading.Event()
    report = drive_http(
        world,
        f"http://127.0.0.1:{server.server_port}",
        lines_per_s=4_000,
        duration_s=20,
        stop=stop,
        watch=lambda so_far: stop.set() if so_far.lines > 500 else None,
    )
    assert report.lines == len(Handler.lines) > 500
    assert report.interruptions == 1
    assert report.asks == len(Handler.asked)
    assert all(path.removeprefix("/recommend/").isdigit() for path in Handler.asked)


def test_a_service_that_is_not_there_yet_is_waited_for() -> None:
    Handler.lines, Handler.asked, Handler.refuse = [], [], 0
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    stop, servers = threading.Event(), []

    def watch(report: DriveReport) -> None:
        if report.interruptions and not servers:
            servers.append(ThreadingHTTPServer(("127.0.0.1", port), Handler))
            threading.Thread(target=servers[0].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        if report.lines:
            stop.set()

    world = make_world(500, 300, seed=3, start_us=NOW_US)
    report = drive_http(world, f"http://127.0.0.1:{port}", lines_per_s=4_000, duration_s=20, stop=stop, watch=watch)
    servers[0].shutdown()
    servers[0].server_close()
    assert report.interruptions == 1
    assert report.lines == len(Handler.lines) > 0


@pytest.mark.parametrize("url", ["https://host", "host:80", "http://"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(BadInput):
        HttpService(url)
