"""The lines of a topic that someone else owns, on a real broker."""

import pytest
from tests import kafka_broker as kafka

from flyball.core import BadSetting, NotFound
from flyball.events import LineStream, open_line_stream
from flyball.events.line_streams import StreamStart

pytestmark = kafka.needs_kafka


def opened(topic: str, start: StreamStart = "committed", until_end: bool = True) -> LineStream:
    return open_line_stream(f"{kafka.GIVEN}/{topic}", "readers", start, until_end)


def lines_of(stream: LineStream, limit: int = 10) -> dict[str, list[tuple[int, bytes]]]:
    """{source: (position, line)} of everything up to the end, committed."""
    lines: dict[str, list[tuple[int, bytes]]] = {}
    while pieces := stream.read(limit):
        for piece in pieces:
            lines.setdefault(piece.source, []).extend(zip(piece.positions, piece.lines, strict=True))
    stream.commit()
    return lines


def produced(count: int) -> str:
    topic = kafka.new_topic()
    kafka.make_topic(topic, 2)
    for part in (0, 1):
        kafka.produce(topic, *[(None, b"line %d\r\n" % number, None) for number in range(count)], partition=part)
    return topic


def test_every_line_comes_with_its_partition_and_offset() -> None:
    topic = produced(30)
    source = f"{kafka.GIVEN}/{topic}#"
    expected = [(number, b"line %d" % number) for number in range(30)]
    assert lines_of(opened(topic)) == {f"{source}0": expected, f"{source}1": expected}
    assert lines_of(opened(topic)) == {}
    kafka.produce(topic, (b"key", b"more", None), (b"key", None, None), (None, b"", None), partition=1)  # type: ignore[arg-type]
    assert lines_of(opened(topic)) == {f"{source}1": [(30, b"more"), (32, b"")]}


def test_where_a_reader_begins() -> None:
    topic = produced(5)
    assert lines_of(opened(topic, "end")) == {}
    stream = opened(topic, "beginning", until_end=False)
    assert sum(map(len, lines_of(stream).values())) == 10
    kafka.produce(topic, (None, b"new", None))
    assert list(lines_of(stream).values()) == [[(5, b"new")]]
    assert sum(map(len, lines_of(opened(topic, "beginning")).values())) == 11


def test_what_was_not_committed_is_read_again() -> None:
    stream = opened(produced(5))
    first = stream.read(100)
    stream.rewind()
    again = stream.read(100)
    assert [(piece.source, piece.lines) for piece in again] == [(piece.source, piece.lines) for piece in first]


def test_lines_that_were_removed_unread_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    topic = produced(5)
    stream = opened(topic)
    kafka.remove_before(topic, 3)
    left = {source[-1]: [at for at, _ in lines] for source, lines in lines_of(stream).items()}
    assert f"{kafka.GIVEN}/{topic}: 3 messages of partition 0 were removed unread" in caplog.text
    assert left == {"0": [3, 4], "1": [0, 1, 2, 3, 4]}


def test_a_topic_that_is_not_there_and_options_of_a_log_are_refused() -> None:
    with pytest.raises(NotFound, match="no topic"):
        opened(kafka.new_topic())
    with pytest.raises(BadSetting, match="option of kafka:// must be one of group, timeout_ms, .*, got 'partitions'"):
        open_line_stream("kafka://127.0.0.1:1/topic?partitions=4", "readers", "end", until_end=True)
