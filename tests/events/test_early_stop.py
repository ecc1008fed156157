"""A wrong setting is reported after the first thousands of lines, with its likely cause, and a dry run before them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.events.home import NOON_US, Home

from flyball.core import BadInput
from flyball.events import LineSource, Preview, Stopped, columns, preview


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


def rates(stars: list[int]) -> list[dict[str, Any]]:
    return [
        {"at": NOON_US + index, "user": index % 500 + 1, "film": "up", "stars": value}
        for index, value in enumerate(stars)
    ]


def watches(lines: int) -> list[dict[str, Any]]:
    return [
        {"at": NOON_US - index, "user": index % 500 + 1, "film": "up", "minute": index % 90} for index in range(lines)
    ]


def text(events: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(event) for event in events)


SCALE_OF_TEN = [number % 8 + 3 for number in range(20_000)]  # 6 to 10 are refused: five of eight


def test_a_scale_of_ten_is_reported_and_the_rest_is_not_read(home: Home) -> None:
    with pytest.raises(Stopped) as stopped:
        home.ingest(text(rates(SCALE_OF_TEN)), "jsonl", stop_early=True)
    assert "out_of_range: stars must be <= 5, got up to 10: is the scale 10?" in str(stopped.value)
    assert stopped.value.read < 10_000
    assert len(home.records()) == stopped.value.accepted > 0
    assert sum(home.quarantine.counts().values()) == stopped.value.quarantined > 0


def test_what_was_accepted_stays_and_again_adds_nothing_twice(home: Home) -> None:
    lines = text(rates(SCALE_OF_TEN))
    for _ in range(2):
        with pytest.raises(Stopped):
            home.ingest(lines, "jsonl", stop_early=True)
    report = home.ingest(lines, "jsonl")
    assert report.read == 20_000
    assert len(home.records()) == 7_500
    assert sum(home.quarantine.counts().values()) == 12_500


def test_half_is_not_most(home: Home) -> None:
    half = [1, 10] * 3_000
    assert home.ingest(text(rates(half)), "jsonl", stop_early=True).likely == ""


def test_one_type_may_be_wrong_among_many_good_lines(home: Home) -> None:
    with pytest.raises(Stopped, match=r"300 of the first 300 lines with a rate went to quarantine as out_of_range"):
        home.ingest(text(rates([10] * 300) + watches(4_000)), "jsonl", stop_early=True)


def test_few_lines_of_a_type_say_nothing(home: Home) -> None:
    assert home.ingest(text(rates([10] * 150) + watches(4_000)), "jsonl", stop_early=True).accepted == {"watch": 4_000}


def test_only_the_first_lines_are_watched(home: Home) -> None:
    report = home.ingest(text(watches(9_000) + rates([10] * 12_000)), "jsonl", stop_early=True)
    assert (report.quarantined, report.likely) == ({"out_of_range": 12_000}, "")


def test_a_short_source_is_ingested_whole_and_the_cause_reported(home: Home) -> None:
    report = home.ingest(text(rates([9, 8, 5] * 10)), "jsonl", stop_early=True)
    assert report.accepted == {"rate": 10}
    assert "20 of the first 30 lines" in report.likely
    assert "got up to 9" in report.likely


@pytest.mark.parametrize(
    ("line", "form", "options", "words"),
    [
        ('{"at":"2099-01-01","user":1,"film":"up","stars":4}', "jsonl", {}, "future: .*in another zone"),
        ("{not json", "jsonl", {}, "decode: line must be JSON .*is it another format"),
        ('{"color":1}', "jsonl", {}, "unknown_type: .*other names"),
        ('{"type":"rate","at":5,"user":1,"film":"up"}', "jsonl", {}, "missing_field: .*other names"),
        ('{"at":"30.08.2022","user":1,"film":"up","stars":4}', "jsonl", {}, r'bad_time: .*at_format="%d\.%m\.%Y"'),
        ("nonsense", "movielog", {}, "missing_field|decode|unknown_type"),
        ('{"at":5,"user":-3,"film":"up","stars":4}', "jsonl", {}, "user must be >= 1, got down to -3"),
    ],
)
def test_the_cause_is_named_for_each_reason(
    home: Home, line: str, form: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Stopped, match=words):
        home.ingest("\n".join([line] * 1_001), form, stop_early=True, **options)


def test_a_row_of_other_width_speaks_for_another_delimiter(home: Home) -> None:
    rows = "user,film,stars,at\n" + "7;up;4;2022-11-14\n" * 1_001
    with pytest.raises(Stopped, match="row must be 4 cells, got '1 cells'; is the delimiter another one"):
        home.ingest(rows, "csv", stop_early=True)


def shown(home: Home, lines: str, form: str = "csv", **options: Any) -> Preview:
    format = columns(rename={"movie": "film", "rating": "stars"}, **options)[form]
    source = LineSource("a", format, form, "history")
    return preview(format.lines(io.BytesIO(lines.encode())), source, home.schema, home.clock, lines=100)


def test_a_preview_shows_lines_as_they_are_understood_and_writes_nothing(home: Home, tmp_path: Path) -> None:
    rows = "at;user;movie;rating;shop\n30.08.2022 01:12;7;up;4;x\n30.08.2022 01:13;7;up;9;x\nlater;7;up;4;x\n"
    found = shown(home, rows, at_format="%d.%m.%Y %H:%M", zone="Europe/Berlin")
    first, second, third = found.rows
    assert (first.position, first.type, first.fields) == (2, "rate", {"user": 7, "film": "up", "stars": 4})
    assert first.at_us == 1_661_814_720_000_000  # 2022-08-29T23:12:00Z
    assert (second.position, second.type, second.reason) == (3, "rate", "out_of_range")
    assert (third.position, third.reason) == (4, "bad_time")
    assert (found.read, found.accepted, found.ignored) == (3, {"rate": 1}, ["shop"])
    assert found.quarantined == {"out_of_range": 1, "bad_time": 1}
    assert found.examples["out_of_range"] == second
    assert home.records() == []
    assert home.quarantine.counts() == {}


def test_a_preview_looks_at_the_first_lines_only(home: Home) -> None:
    found = shown(home, text(rates([5] * 99 + [10] * 500)), "jsonl")
    assert (found.read, len(found.rows), found.accepted) == (100, 5, {"rate": 99})


def test_a_preview_of_no_type_raises(home: Home) -> None:
    with pytest.raises(BadInput, match="columns must be those of an event type"):
        shown(home, "color,size\n1,2\n")
