"""From bytes to the log: verdicts, quarantine, catalog, time, memory and repetition."""

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.events.home import FORMATS, NOON_US, NOW_US, Home

from flyball.core import BadInput, StoreUnavailable
from flyball.events import (
    IMPORTED,
    SOURCE_FLAGS,
    Appended,
    DeclaredLog,
    EntityCatalog,
    Format,
    IngestReport,
    columns,
    ingest_lines,
    retry,
)
from flyball.events.ingest import MAX_IGNORED
from flyball.events.lines import MAX_LINE, split_lines
from flyball.testing.log_contract import PlainLog
from flyball.testing.movie_events import Joined, movie_schema

T = "2022-11-14T12:00:0"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


LOG = "\n".join(
    [
        f"{T}1,7,GET /data/m/up+2009/3.mpg",
        f"{T}1,7,GET /data/m/up+2009/3.mpg",
        "",
        f"{T}2,8,GET /rate/up+2009=6",
        f"{T}2,8,GET /rate/up+2009=5\r",
        f"{T}3,,GET /rate/up+2009=5",
        f"{T}4,9,GET /create_account",
    ]
)


def test_a_stream_is_counted_whole(home: Home) -> None:
    report = home.ingest(LOG)
    assert report == IngestReport(
        read=6,
        accepted={"watch": 1, "rate": 1, "joined": 1},
        flagged={},
        quarantined={"out_of_range": 1, "bad_user": 1},
        duplicates=1,
        seconds=0.0,
    )
    assert report.events_per_s == 0.0


def test_bad_lines_keep_their_bytes_and_their_place(home: Home) -> None:
    home.ingest(LOG)
    first, second = home.quarantine.list()
    assert (first.reason, first.position, first.raw) == ("out_of_range", 4, f"{T}2,8,GET /rate/up+2009=6".encode())
    assert (second.reason, second.position, second.source, second.format) == ("bad_user", 6, "a.log", "movielog")
    assert "stars" in first.detail
    assert first.at_us == NOW_US
    assert home.quarantine.counts() == {"bad_user": 1, "out_of_range": 1}


def test_again_adds_nothing(home: Home) -> None:
    home.ingest(LOG)
    again = home.ingest(LOG)
    assert (again.accepted, again.duplicates, sum(again.quarantined.values())) == ({}, 4, 2)
    assert len(home.records()) == 3
    assert len(home.quarantine.list()) == 2


def test_history_is_known_a_lag_after_it_happened(home: Home) -> None:
    home.ingest(LOG, lag_us=500)
    assert {record.known_at - record.at for record in home.records()} == {500}


def test_live_is_known_on_arrival_and_not_from_the_future(home: Home) -> None:
    late = "2023-11-14T22:18:20,7,GET /create_account\n"
    later = "2023-11-14T22:18:21,8,GET /create_account\n"
    report = home.ingest(late + later, mode="live")
    assert (report.accepted, report.quarantined) == ({"joined": 1}, {"future": 1})
    assert [record.known_at for record in home.records()] == [NOW_US]


def test_history_may_be_old_but_not_ahead_of_now(home: Home) -> None:
    lines = ["1999-11-14T22:18:20,7,GET /create_account", "2032-11-14T22:18:20,8,GET /create_account"]
    report = home.ingest("\n".join(lines), lag_us=500)
    assert (report.accepted, report.quarantined) == ({"joined": 1}, {"future": 1})
    many = [f"20{20 + place % 20}-11-14T22:13:20,{place + 1},GET /data/m/up/3.mpg" for place in range(500)]
    assert home.ingest("\n".join(many)).quarantined == {"future": 400}


@pytest.mark.parametrize("mode", ["live", "history"])
def test_what_lies_ahead_of_now_stays_in_quarantine_until_its_time_has_come(home: Home, mode: str) -> None:
    home.ingest("2023-11-14T23:13:20,7,GET /create_account\n", mode=mode)
    assert retry(home.inlet(), formats=FORMATS).still_bad == 1
    home.clock.advance_us(3_600_000_000)
    assert retry(home.inlet(), formats=FORMATS).accepted == 1


def test_events_without_a_time(home: Home) -> None:
    assert home.ingest("user,age\n7,30\n", "csv").accepted == {"viewer": 1}
    assert home.ingest("user,film,minute\n7,up,3\n", "csv").quarantined == {"bad_time": 1}
    assert home.ingest("user,film,minute\n7,up,3\n", "csv", mode="live").accepted == {"watch": 1}
    assert {record.type: record.at for record in home.records()} == {"viewer": 0, "watch": NOW_US}


def test_a_profile_that_goes_back_to_what_it_was_needs_a_time(home: Home) -> None:
    """As the reference says: without one, the third is a duplicate of the first; with one, or live, it counts."""

    def latest() -> int:
        rows = [one for one in home.records() if one.type == "viewer"]
        *_, last = sorted((one.at, place, home.schema.decode(one)) for place, one in enumerate(rows))
        return last[2].age  # type: ignore[attr-defined,no-any-return]

    for age, duplicates in ((30, 0), (31, 0), (30, 1)):
        assert home.ingest(f"user,age\n7,{age}\n", "csv").duplicates == duplicates
    assert latest() == 31
    for day, age in enumerate((30, 31, 30), 1):
        assert home.ingest(f"user,age,at\n7,{age},2022-11-0{day}\n", "csv").duplicates == 0
    assert latest() == 30
    for age in (31, 30):
        home.clock.advance_us(1)
        assert home.ingest(f"user,age\n7,{age}\n", "csv", mode="live").duplicates == 0
    assert latest() == 30


def test_unknown_entities_are_flagged_once_there_is_a_catalog(home: Home) -> None:
    watch = f"{T}1,7,GET /data/m/up/3.mpg\n"
    assert home.ingest(watch).flagged == {}, "without a catalog nothing is unknown"
    assert home.ingest("film\nheat\n", "csv").flagged == {}
    report = home.ingest(f"{T}2,7,GET /data/m/up/3.mpg\n{T}2,7,GET /data/m/heat/3.mpg\n{T}2,7,GET /rate/x=3\n")
    assert (report.accepted, report.flagged) == ({"watch": 2, "rate": 1}, {"watch": 1, "rate": 1})
    flags = {record.flags & ~SOURCE_FLAGS for record in home.records() if record.at == NOON_US + 2_000_000}
    assert flags == {IMPORTED, IMPORTED | 2}
    home.ingest("user,film,minute\n7,up,9\n", "csv", mode="live")
    assert [record.flags & ~SOURCE_FLAGS for record in home.records() if record.at == NOW_US] == [2]


def test_a_joined_user_is_known_at_once_but_makes_no_catalog_alone(home: Home) -> None:
    home.ingest(f"{T}1,5,GET /create_account\n{T}1,6,GET /rate/up=3\n")
    assert home.catalog.known() == {}, "users are not checked before a profile names one"
    home.ingest("user,age\n7,30\n", "csv")
    report = home.ingest(
        f"{T}2,8,GET /rate/up=3\n{T}2,8,GET /create_account\n{T}2,5,GET /rate/up=3\n{T}2,9,GET /rate/up=3\n"
    )
    assert report.flagged == {"rate": 1}


def test_the_catalog_is_a_view_that_can_be_rebuilt(home: Home, tmp_path: Path) -> None:
    home.ingest("film\nheat\nup\n", "csv")
    home.ingest(f"{T}1,5,GET /create_account\n")
    again = EntityCatalog(f"sqlite://{tmp_path}/other.db", home.schema, {"user": (Joined,)})
    assert again.known() == {}
    again.catch_up(home.log)
    assert again.known() == home.catalog.known() == {"film": {"heat", "up"}}
    plain = DeclaredLog(PlainLog(2), home.schema)
    plain.append(home.records())
    third = EntityCatalog(f"sqlite://{tmp_path}/third.db", home.schema, {"user": (Joined,)})
    third.catch_up(plain)
    assert third.known() == {"film": {"heat", "up"}}
    again.close()
    third.close()


def test_another_process_sees_what_became_known(home: Home, tmp_path: Path) -> None:
    other = EntityCatalog(f"sqlite://{tmp_path}/catalog.db", home.schema, {"user": (Joined,)})
    assert other.known() == {}
    home.ingest("film\nheat\n", "csv")
    assert other.known() == {"film": {"heat"}}
    other.close()


def test_few_of_ever_new_fields_are_named(home: Home) -> None:
    lines = [
        json.dumps({"type": "watch", "at": NOON_US + n, "user": 7, "film": "up", "minute": 3, f"x{n:04}": 1})
        for n in range(3 * MAX_IGNORED)
    ]
    report = home.ingest("\n".join(lines), "jsonl")
    assert (report.accepted, len(report.ignored)) == ({"watch": len(lines)}, MAX_IGNORED)
    assert report.ignored[0] == "x0000"


def test_verdicts_come_one_by_one(home: Home) -> None:
    good = {"type": "watch", "at": NOON_US, "user": 7, "film": "up", "minute": 3}
    home.ingest("film\nheat\n", "csv")
    lines = [good, good | {"minute": 9_999}, good, good | {"film": "heat"}]
    verdicts = home.verdicts(
        [json.dumps(line) for line in lines[:2]] + ["", "{"] + [json.dumps(line) for line in lines[2:]]
    )
    assert [one.verdict for one in verdicts] == ["accepted", "quarantined", "quarantined", "duplicate", "accepted"]
    assert [one.reason for one in verdicts] == ["", "out_of_range", "decode", "", ""]
    assert verdicts[0].unknown == ("film",)
    assert verdicts[0].id == verdicts[3].id != verdicts[4].id
    assert verdicts[4].unknown == ()
    assert len(home.quarantine.list()) == 2


def test_a_log_that_is_away_is_reported_and_nothing_counts(home: Home) -> None:
    class Away(PlainLog):
        def append(self, records: object) -> Appended:
            raise StoreUnavailable("the log must be free")

    line = json.dumps({"at": 5, "user": 7, "film": "up", "minute": 3}).encode()
    with pytest.raises(StoreUnavailable):
        ingest_lines([line], home.source("jsonl"), home.inlet(log=Away(2)))
    assert home.quarantine.list() == []


def test_progress_is_reported_after_each_append(home: Home) -> None:
    seen: list[int] = []
    pauses: list[int] = []
    lines = "".join(f"{T}1,{number},GET /create_account\n" for number in range(1, 9_001))
    home.ingest(lines, progress=lambda report: seen.append(report.read), between=lambda: pauses.append(1))
    assert seen == [4_096, 8_192, 9_000]
    assert len(pauses) == 3


def test_a_byte_order_mark_gzip_and_a_last_line_without_end(home: Home) -> None:
    text = b"\xef\xbb\xbfuser,age\r\n7,30\r\n8,40"
    assert home.ingest(text, "csv").accepted == {"viewer": 2}
    assert home.ingest(gzip.compress(text), "csv").duplicates == 2


def test_a_long_line_is_cut_and_set_aside(home: Home) -> None:
    giant = b"x" * (3 * MAX_LINE)
    report = home.ingest(giant + b"\n" + f"{T}1,7,GET /create_account\n".encode() + giant)
    assert (report.accepted, report.quarantined) == ({"joined": 1}, {"too_long": 2})
    assert [(entry.position, len(entry.raw)) for entry in home.quarantine.list()] == [(1, MAX_LINE), (3, MAX_LINE)]
    assert home.verdicts(["x" * (2 * MAX_LINE)])[0].reason == "too_long"


def test_a_header_of_no_type_is_an_error_not_a_flood(home: Home) -> None:
    with pytest.raises(BadInput, match="columns must be those of an event type"):
        home.ingest("color,size\n1,2\n", "csv")
    assert home.quarantine.list() == []


def test_memory_stays_the_same_however_long_the_stream(home: Home) -> None:
    line = b"z" * 200 + b"\n"

    def peak(pieces: int) -> int:
        tracemalloc.start()
        for _ in split_lines(line * 500 for _ in range(pieces)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(100) < 1.5 * peak(5)


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\r", b"", b"bc"]), max_size=40).map(b"".join),
    cuts=st.lists(st.integers(0, 80), max_size=8),
    chunk=st.integers(1, 5),
)
def test_lines_do_not_depend_on_where_a_stream_breaks(text: bytes, cuts: list[int], chunk: int) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    lines = [line for part in split_lines(pieces, chunk) for line in part]
    whole = text.split(b"\n")
    last = whole.pop()
    wanted = [line.removesuffix(b"\r") for line in whole] + ([last.removesuffix(b"\r")] if last else [])
    assert lines == wanted


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_stream_ends_as_in_a_dict(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The oracle: a dict by what an event says. Files come in any order, more than once."""
    home = Home(tmp_path_factory.mktemp("home"))
    lines = st.sampled_from(
        [f"{T}{second},{user},GET /rate/up={stars}" for second in (1, 2) for user in (1, 2) for stars in (3, 9)]
        + ["x", ""]
    )
    held: dict[str, int] = {}
    bad: set[tuple[str, int, str]] = set()
    for name in data.draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=4)):
        text = data.draw(st.lists(lines, max_size=12))
        report = home.ingest("\n".join(text), name=name)
        good = [line for line in text if line.endswith("=3")]
        wrong = [(name, place, line) for place, line in enumerate(text, 1) if line and line not in good]
        assert report.accepted.get("rate", 0) == len(set(good) - held.keys())
        assert report.read == len(good) + len(wrong)
        held.update(dict.fromkeys(good, 1))
        bad.update(wrong)
    assert len(home.records()) == len(held)
    assert {(one.source, one.position, one.raw.decode()) for one in home.quarantine.list()} == bad
    home.close()


def test_retry_brings_back_what_the_present_rules_allow(home: Home, tmp_path: Path) -> None:
    home.ingest(LOG, lag_us=500)
    wider = Home(tmp_path, movie_schema(stars=10))
    report = retry(wider.inlet(), formats=FORMATS)
    assert (report.tried, report.accepted, report.duplicates, report.still_bad) == (2, 1, 0, 1)
    (found,) = [
        record
        for record in wider.records()
        if b"up" in record.body and record.at == NOON_US + 2_000_000 and wider.schema.decode(record).stars == 6
    ]  # type: ignore[attr-defined]
    assert found.known_at == found.at + 500
    assert [entry.state for entry in wider.quarantine.list(state=None)] == ["released", "open"]
    assert retry(wider.inlet(), formats=FORMATS).tried == 1
    wider.close()


def test_what_came_in_live_becomes_known_when_it_is_released(home: Home, tmp_path: Path) -> None:
    home.ingest(f"{T}1,7,GET /rate/up=9\n", mode="live")
    wider = Home(tmp_path, movie_schema(stars=10))
    wider.clock.advance_us(60_000_000)
    assert retry(wider.inlet(), formats=FORMATS, ids=[1]).accepted == 1
    assert [record.known_at for record in wider.records()] == [NOW_US + 60_000_000]
    wider.close()


def test_csv_rows_are_retried_with_their_header(home: Home, tmp_path: Path) -> None:
    home.ingest(f"at,user,movie,rating\n{T}1,7,up,9\n", "csv")
    wider = Home(tmp_path, movie_schema(stars=10))
    report = retry(wider.inlet(), formats=FORMATS, reason="out_of_range")
    assert (report.accepted, report.still_bad) == (1, 0)
    wider.close()


def test_a_cut_line_is_never_released(home: Home) -> None:
    home.ingest(b"x" * (2 * MAX_LINE))
    assert retry(home.inlet(), formats=FORMATS).still_bad == 1


def test_lines_that_cannot_be_read_any_more_do_not_keep_others_from_a_retry(home: Home, tmp_path: Path) -> None:
    """A format that is gone, a header that fits no type any more; the rest is released."""
    home.ingest(f"at,user,movie,rating\n{T}1,7,up,9\n", "csv")
    home.ingest(f"{T}2,8,GET /rate/up=9\n", name="b.log")
    home.ingest(f"at,user,film,stars\n{T}3,9,up,9\n", "csv", name="c.log")
    wider = Home(tmp_path, movie_schema(stars=10))
    plain: dict[str, Format] = {"csv": columns()["csv"]}
    report = retry(wider.inlet(), formats=plain)
    assert (report.tried, report.accepted, report.still_bad) == (3, 1, 2)
    header, gone = report.unreadable
    assert header.startswith("columns must be those of one event type")
    assert "no format 'movielog'" in gone
    assert sorted(entry.source for entry in wider.quarantine.list()) == ["a.log", "b.log"]
    wider.close()
