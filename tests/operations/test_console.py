"""What `up` shows, as lines and as a display."""

import io

import msgspec
from rich.console import Console

from flyball.core import Counters
from flyball.events import ConsumerLag, WorkerReport, consumer_troubles
from flyball.operations import Child, Heartbeat, Lines, Notice, Panel, rates
from flyball.operations.process_specs import GovernorReport, UpReport
from flyball.serving import LATENCY_MS

SECOND_US = 1_000_000
URL = "http://127.0.0.1:8082"
START_US = 1_700_000_000_000_000


def heartbeat(seconds: int, answers: int, events: int, lags: dict[str, ConsumerLag] | None = None) -> Heartbeat:
    children = [Child("serve-1", "running", 41, START_US, 2), Child("worker", "waiting", None, START_US, 0)]
    names = Counters.histogram_names("latency_ms", LATENCY_MS)
    counts = dict.fromkeys(names, 0) | {names[3]: answers, "answers|champion": answers - 1, "answers|popular": 1}
    return Heartbeat(
        (now_us := START_US + seconds * SECOND_US),
        UpReport(START_US, 40, 8082, START_US, children),
        "v3",
        "v2",
        counts,
        {"state": events},
        lags if lags is not None else {"state": ConsumerLag(0, 0)},
        {"events": (events, 0), "predictions": (answers,)},
        GovernorReport(START_US, "waiting", START_US + 86_400 * SECOND_US, 1, "learned"),
        consumer_troubles(WorkerReport(now_us, {}, lags or {}), now_us),
    )


def test_rates_between_two_moments() -> None:
    found = rates(heartbeat(0, 101, 50), heartbeat(10, 1_101, 150))
    assert (found.answers_s, found.events_s) == (100.0, 10.0)
    assert found.levels == {"champion": 1_000}
    assert found.p99_ms is not None
    assert LATENCY_MS[2] < found.p99_ms <= LATENCY_MS[3]


def test_a_counter_that_went_back_counts_as_unchanged() -> None:
    assert rates(heartbeat(0, 1_000, 50), heartbeat(10, 10, 40)).answers_s == 0
    assert rates(heartbeat(0, 1_000, 50), heartbeat(10, 10, 40)).events_s == 0


def test_after_the_clock_was_set_back_nothing_counts_as_a_rate_and_summaries_go_on() -> None:
    assert rates(heartbeat(3_600, 1_000, 50), heartbeat(0, 2_000, 90)).answers_s == 0
    output = io.StringIO()
    lines = Lines(output)
    for second in (3_600, 0, 5, 10):
        lines.show(heartbeat(second, 1 + 100 * second, 10 * second))
    assert len(output.getvalue().splitlines()) == 1


def test_lines_tell_what_happens_and_sum_up_every_ten_seconds() -> None:
    output = io.StringIO()
    lines = Lines(output)
    with lines.open("cinema", URL, f"curl {URL}/recommend/1"):
        lines.notify(Notice(START_US, "serve-1", "crashed with code 1; starts again in 0.2 s"))
        for second in range(25):
            lines.show(heartbeat(second, 1 + 100 * second, 10 * second))
        lines.show(
            heartbeat(
                40,
                5_000,
                500,
                {"state": ConsumerLag(70, 3 * SECOND_US), "history": ConsumerLag(-1, 0, "disk full", START_US)},
            )
        )
    message = output.getvalue().splitlines()
    assert message[0] == "flyball up cinema on http://127.0.0.1:8082, stop with Ctrl-C"
    assert message[1] == "try curl http://127.0.0.1:8082/recommend/1"
    assert message[2] == "2023-11-14T22:13:20Z serve-1: crashed with code 1; starts again in 0.2 s"
    assert len(message) == 6
    assert "100 answers/s" in message[3]
    assert "champion 1,000; 10 events/s, lag under 1 s; champion v3, learns next 2023-11-15T22:13:20Z" in message[3]
    assert "lag consumer history has been failing for 40s: disk full" in message[5]


def test_the_screen_shows_processes_consumers_and_what_happened() -> None:
    output = io.StringIO()
    panel = Panel(Console(file=output, force_terminal=True, width=140, height=50, color_system=None))
    with panel.open("cinema", URL, f"curl {URL}/recommend/1"):
        panel.notify(Notice(START_US, "release", "champion is v3"))
        for second in range(3):
            panel.show(heartbeat(second, 1 + 100 * second, 10 * second, {"state": ConsumerLag(7, 2 * SECOND_US)}))
    message = output.getvalue()
    for words in ("cinema", "serve-1", "running", "7 behind, 2s", "champion is v3", "100 answers/s", "Ctrl-C"):
        assert words in message
    assert msgspec.json.encode(heartbeat(0, 1, 1))
