"""Lines of a stream are ingested once each, whatever fails in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.events.home import NOW_US, Home

from flyball.core import StoreUnavailable, UnknownBackend
from flyball.events import IngestReport, Stopped, StreamedLines, ingest_stream, open_line_stream


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


class ListStream:
    """A stream of two partitions in memory. `fails`: calls, counted from 0, that find it unavailable."""

    def __init__(self, lines: list[bytes], fails: tuple[int, ...] = ()) -> None:
        self.name, self.fails, self.calls = "list", fails, 0
        self.parts = [list(enumerate(lines[part::2])) for part in (0, 1)]
        self.at, self.committed = [0, 0], [0, 0]

    def read(self, limit: int) -> list[StreamedLines]:
        self._call()
        pieces = []
        for part in (0, 1):
            some = self.parts[part][self.at[part] : self.at[part] + 3]
            self.at[part] += len(some)
            positions, lines = [position for position, _ in some], [line for _, line in some]
            if some:
                pieces.append(StreamedLines(f"list#{part}", positions, lines, [NOW_US - 1_000 * p for p in positions]))
        return pieces

    def commit(self) -> None:
        self._call()
        self.committed = list(self.at)

    def rewind(self) -> None:
        self.at = list(self.committed)

    def close(self) -> None:
        """Nothing is open."""

    def _call(self) -> None:
        self.calls += 1
        if self.calls - 1 in self.fails:
            raise StoreUnavailable("the stream is away")


def line(number: int) -> bytes:
    return b"nonsense" if number % 5 == 4 else b"2023-11-14T12:00:00,%d,GET /rate/up+2009=5" % (number + 1)


def run(home: Home, stream: ListStream, form: str = "movielog", **options: object) -> IngestReport:
    """Follow the stream until all of it is committed."""
    source, all_lines = home.source(form, name="list"), [len(part) for part in stream.parts]
    settings = {"follow": True, "stopped": lambda seconds: stream.committed == all_lines, **options}
    return ingest_stream(stream, source, home.inlet(), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("fails", [(), (0,), (1,), (2, 3), (3,), (6, 7)])
def test_each_line_is_ingested_once_whatever_call_fails(home: Home, fails: tuple[int, ...]) -> None:
    stream, warnings = ListStream([line(number) for number in range(20)], fails), list[str]()
    report = run(home, stream, warn=warnings.append)
    assert len(home.records()) == sum(report.accepted.values()) == 16
    assert len(warnings) == len(fails)
    entries = home.quarantine.list()
    assert [(entry.source, entry.position) for entry in sorted(entries, key=lambda entry: entry.position)] == [
        ("list#0", 2),
        ("list#1", 4),
        ("list#0", 7),
        ("list#1", 9),
    ]
    assert stream.committed == [10, 10]


def test_without_follow_it_stops_at_the_end_and_raises_what_fails(home: Home) -> None:
    lines = [line(number) for number in range(20)]
    report = run(home, ListStream(lines), follow=False, stopped=lambda seconds: False)
    assert report.read == 20
    with pytest.raises(StoreUnavailable, match="away"):
        run(home, ListStream(lines, (2,)), follow=False)


def test_a_line_without_a_time_that_is_read_twice_is_one_event(home: Home) -> None:
    stream = ListStream([b'{"type": "joined", "user": 7}', b'{"type": "joined", "user": 8}'], (1,))
    report = run(home, stream, "jsonl")
    assert (report.accepted, report.duplicates) == ({"joined": 2}, 2)
    assert [kept.at for kept in home.records()] == [NOW_US, NOW_US]


def test_mostly_bad_lines_stop_it(home: Home) -> None:
    with pytest.raises(Stopped):
        run(home, ListStream([b"nonsense"] * 12_000), stop_early=True)


def test_streams_are_opened_by_their_scheme() -> None:
    with pytest.raises(UnknownBackend, match="stream of lines URL must start with one of kafka://, got ftp://"):
        open_line_stream("ftp://host/topic", "readers", "committed", until_end=False)
