"""The live driver against services that behave, misbehave and go away."""

import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from flyball.core import BadInput, ManualClock, format_timestamp, parse_timestamp
from flyball.simulation import Driver, DriveReport, HttpService, Timeline, drive_http
from flyball.simulation.world import DAY_US
from flyball.simulation.worlds.movies import MovieWorld
from flyball.tasks import RankedItem, Response

TIME = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{3})?)?\Z")
NOW_US = parse_timestamp("2026-05-01T12:00:00Z")


class Watch:
    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def read_s(self) -> float:
        return self._clock.now_us() / 1e6


def movie_world(users: int, start_us: int) -> MovieWorld:
    """A world that has begun."""
    world = MovieWorld(seed=3, start_us=start_us, users=users, items=300)
    world.emit(start_us, Timeline())
    return world


class Recording:
    """A service in memory that may be switched off."""

    def __init__(self, slugs: list[str]) -> None:
        self.lines: list[bytes] = []
        self.profiles: list[bytes] = []
        self.asked: list[int] = []
        self.away = False
        self._response = Response(tuple(RankedItem(slug, 0.0) for slug in slugs))

    def ask(self, fields: Mapping[str, Any]) -> Response | None:
        if self.away:
            raise ConnectionRefusedError
        self.asked.append(fields["user"])
        return self._response

    def send(self, format: str, lines: Sequence[bytes]) -> None:
        if self.away:
            raise ConnectionRefusedError
        (self.lines if format == "movielog" else self.profiles).extend(lines)


def driven(seconds: float, speed: float = 250.0, k: int = 20) -> tuple[Driver, Recording, ManualClock]:
    """Everybody is shown the first `k` films."""
    start_us = NOW_US - DAY_US
    world = movie_world(2_000, start_us)
    service, clock = Recording(world._life.films.slugs[:k]), ManualClock(NOW_US)
    driver = Driver(world, start_us, service, clock, Watch(clock), speed)
    for _ in range(int(seconds * 4)):
        clock.advance_us(250_000)
        driver.step()
    return driver, service, clock


def test_the_world_passes_at_the_wanted_speed() -> None:
    driver, service, clock = driven(240)
    assert driver.now_us - (NOW_US - DAY_US) == pytest.approx((clock.now_us() - NOW_US) * 250, rel=0.01)
    # 2,000 users begin half a session a day each, of about 35 lines, at any hour.
    expected = 2_000 * 0.5 * 35 * 240 * 250 / 86_400
    assert len(service.lines) == pytest.approx(expected, rel=0.35)
    assert driver.report.lines == len(service.lines) + len(service.profiles)


def test_lines_carry_real_time_and_requests_what_was_shown() -> None:
    driver, service, clock = driven(30)
    times = [line.split(b",")[0].decode() for line in service.lines]
    first, last = format_timestamp(NOW_US)[:16], format_timestamp(clock.now_us())[:16]
    in_time = sum(first <= time[:16] <= last and TIME.match(time) is not None for time in times)
    assert in_time >= 0.995 * len(times)  # the rest is corrupted
    requests = [line for line in service.lines if b"recommendation request" in line]
    assert len(requests) == pytest.approx(len(service.asked), abs=5)
    assert driver.report.requests == driver.report.answered == len(service.asked)


def test_users_take_films_from_the_list() -> None:
    def watched_of_first_twenty(k: int) -> float:
        driver, service, _ = driven(30, k=k)
        first = {slug.encode() for slug in driver.world._life.films.slugs[:20]}  # type: ignore[attr-defined]
        watched = [line.split(b"/")[3] for line in service.lines if b"/data/m/" in line]
        return sum(film in first for film in watched) / len(watched)

    assert watched_of_first_twenty(k=20) > 2 * watched_of_first_twenty(k=0) > 0


def test_while_the_service_is_away_the_world_waits_and_loses_nothing() -> None:
    driver, service, clock = driven(20)
    service.away = True
    clock.advance_us(250_000)
    with pytest.raises(ConnectionRefusedError):
        driver.step()
    waiting = [line for format, lines in driver._unsent for line in lines if format == "movielog"]
    world_us = driver.now_us
    clock.advance_us(60_000_000)
    with pytest.raises(ConnectionRefusedError):
        driver.step()
    assert driver.now_us == world_us
    service.away, before = False, len(service.lines)
    driver.resume()
    driver.step()
    assert waiting
    assert service.lines[before:] == waiting
    clock.advance_us(250_000)
    driver.step()
    assert driver.now_us - world_us <= 250_000 * driver.speed + 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lines: list[bytes]
    profiles: list[bytes]
    asked: list[tuple[str, Any]]
    refuse = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/recommend":
            self.asked.append((self.headers["Content-Type"], json.loads(body)))
            items = [{"item": "a+film+2000", "score": 1.5, "source": "model"}, {"item": 7, "score": 1.0}]
            self._answer(200, json.dumps({"id": "x", "items": items, "k": 2}).encode())
            return
        if type(self).refuse > 0:
            type(self).refuse -= 1
            self._answer(503, b"")
            return
        (self.lines if self.path.endswith("format=movielog") else self.profiles).extend(body.split(b"\n"))
        self._answer(200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Handler.lines, Handler.profiles, Handler.asked, Handler.refuse = [], [], [], 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_over_http_it_asks_sends_and_outlives_refusals(server: ThreadingHTTPServer) -> None:
    Handler.refuse = 1
    world = movie_world(500, NOW_US)
    stop = threading.Event()
    report = drive_http(
        world,
        NOW_US,
        f"http://127.0.0.1:{server.server_port}",
        kind="recommend",
        speed=40_000,
        duration_s=20,
        stop=stop,
        watch=lambda so_far: stop.set() if so_far.lines > 500 else None,
    )
    assert report.lines == len(Handler.lines) + len(Handler.profiles) > 500
    assert report.interruptions == 1
    assert report.requests == report.answered == len(Handler.asked)
    assert all(kind == "application/json" and 1 <= body["user"] <= 600 for kind, body in Handler.asked)


def test_a_response_is_read_from_the_document(server: ThreadingHTTPServer) -> None:
    service = HttpService(f"http://127.0.0.1:{server.server_port}", "recommend")
    response = service.ask({"user": 7})
    assert response == Response((RankedItem("a+film+2000", 1.5), RankedItem("7", 1.0)))
    assert Handler.asked == [("application/json", {"user": 7})]
    service.close()


def test_a_service_that_is_not_there_yet_is_waited_for() -> None:
    Handler.lines, Handler.profiles, Handler.asked, Handler.refuse = [], [], [], 0
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    stop, servers = threading.Event(), []

    def watch(report: DriveReport) -> None:
        if report.interruptions and not servers:
            servers.append(ThreadingHTTPServer(("127.0.0.1", port), Handler))
            threading.Thread(target=servers[0].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        if report.lines:
            stop.set()

    report = drive_http(
        movie_world(500, NOW_US),
        NOW_US,
        f"http://127.0.0.1:{port}",
        kind="recommend",
        speed=40_000,
        duration_s=20,
        stop=stop,
        watch=watch,
    )
    servers[0].shutdown()
    servers[0].server_close()
    assert report.interruptions == 1
    assert report.lines == len(Handler.lines) + len(Handler.profiles) > 0


@pytest.mark.parametrize("url", ["https://host", "host:80", "http://"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(BadInput):
        HttpService(url, "recommend")
