"""Events through the command line: what is reported is what was written."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.processes import LONG_S

from flyball.registry import Registry

VIEW = '{"type":"view","visitor":7,"item":"toys-04","at":"2026-05-01T00:00:00Z"}'
BAD = '{"type":"view","visitor":"x","item":"toys-04","at":"2026-05-01T00:00:00Z"}'


def written(kind: str) -> list[dict[str, object]]:
    events = [json.loads(line) for line in Path("shop-events.jsonl").read_text().splitlines()]
    return [event for event in events if event["type"] == kind]


def test_ingest_counts_what_was_written_and_a_second_time_only_duplicates(shop: Run) -> None:
    kinds = {kind: len(written(kind)) for kind in ("view", "buy", "itemcard")}
    first = shop("ingest", "shop.py", "shop-events.jsonl", "--json")
    again = shop("ingest", "shop.py", "shop-events.jsonl", "--json")
    assert (first.code, again.code) == (0, 0)
    assert first.last["accepted"] == kinds
    assert (first.last["read"], first.last["duplicates"], first.last["quarantined"]) == (sum(kinds.values()), 0, {})
    assert (again.last["accepted"], again.last["duplicates"]) == ({}, sum(kinds.values()))
    assert {"seconds", "events_per_s"} <= set(first.last)


def test_ingest_tells_a_person_the_same(shop: Run) -> None:
    message = shop("ingest", "shop.py", "shop-events.jsonl").out
    assert f"accepted: {len(written('buy')):,} buy, {len(written('itemcard')):,} itemcard" in message


def test_standard_input_is_live_json_lines_and_blank_lines_are_no_events(shop: Run) -> None:
    got = shop("ingest", "shop.py", "-", "--json", stdin=f"\n{VIEW}\n\n{BAD}\n\n").last
    assert (got["read"], got["accepted"], got["quarantined"]) == (2, {"view": 1}, {"wrong_type": 1})
    entry = shop("quarantine", "show", "shop.py", 1, "--json").last
    assert (entry["raw"], entry["position"], entry["source"]) == (BAD, 4, "standard input")


@pytest.mark.parametrize(("content", "read"), [(b"", 0), (b"\n\n", 0), (b"\xff\xfe\x00\n", 1)])
def test_odd_files_are_reported_not_raised(shop: Run, content: bytes, read: int) -> None:
    Path("odd.jsonl").write_bytes(content)
    got = shop("ingest", "shop.py", "odd.jsonl", "--json")
    assert (got.last["read"], sum(got.last["quarantined"].values())) == (read, read)
    assert got.code == 1, "nothing was good"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.jsonl"], "flyball: file must be readable, got 'nothing.jsonl: No such file or directory'"),
        (["shop.py"], "flyball: the format of shop.py must be named, got no known ending; add --format, one of jsonl"),
        (["."], "flyball: no MovieLens files in"),
        (["shop-events.jsonl", "--format", "xml"], "flyball: no format 'xml'; known: csv, jsonl, parquet"),
        (["shop-events.jsonl", "--lag", "soon"], "flyball: --lag must be"),
        (["shop-events.jsonl", "--format", "parquet", "--follow"], "flyball: --follow must be about a file of lines"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(shop: Run, words: list[str], message: str) -> None:
    got = shop("ingest", "shop.py", *words)
    assert got.code == 2
    assert got.err.startswith(message)
    assert len(got.err.strip().splitlines()) == 1


def test_quarantine_lists_shows_and_retries(shop: Run) -> None:
    shop("ingest", "shop.py", "-", stdin=f"{BAD}\nnot json\n")
    listed = shop("quarantine", "list", "shop.py")
    assert "1  wrong_type  standard input:1" in listed.out
    assert "open: 1 decode, 1 wrong_type" in listed.out
    only = shop("quarantine", "list", "shop.py", "--reason", "decode", "--json").last
    assert [entry["raw"] for entry in only["entries"]] == ["not json"]
    source = Path("shop.py").read_text()
    Path("shop.py").write_text(
        source.replace("Annotated[int, fb.Ref", "Annotated[str, fb.Ref").replace(
            "fb.integer(1, 999_999_999)", "fb.text(max_length=9)"
        )
    )
    os.utime("shop.py", ns=(1, 1))
    retried = subprocess.run(
        [sys.executable, "-m", "flyball", "quarantine", "retry", "shop.py", "--json"], capture_output=True, check=True
    )
    assert json.loads(retried.stdout) == {"tried": 2, "accepted": 1, "duplicates": 0, "still_bad": 1, "unreadable": []}


def test_what_cannot_be_shown_is_escaped(shop: Run) -> None:
    shop("ingest", "shop.py", "-", stdin=b"\x1b[31mred\xff\n")
    message = shop("quarantine", "show", "shop.py", 1).out
    assert "\x1b" not in message
    assert r"\u001b[31mred\xff" in message


def test_export_has_exactly_the_events(shop: Run) -> None:
    shop("ingest", "shop.py", "shop-events.jsonl")
    message = shop("export", "shop.py", "buy", "--json").last
    assert message == {"rows": len(written("buy")), "quoted": 0, "file": "buy.csv"}
    with open("buy.csv", newline="") as file:
        rows = [(int(r["visitor"]), r["item"], float(r["price"]), r["at"][:19]) for r in csv.DictReader(file)]
    wanted = [(e["visitor"], e["item"], e["price"], str(e["at"])[:19]) for e in written("buy")]
    assert sorted(rows) == sorted(wanted)  # type: ignore[type-var]


def test_export_since_is_inclusive(shop: Run) -> None:
    shop("ingest", "shop.py", "shop-events.jsonl")
    since = str(sorted(str(event["at"]) for event in written("buy"))[-3])
    wanted = sum(str(event["at"]) >= since for event in written("buy"))
    assert shop("export", "shop.py", "buy", "--since", since, "--out", "b.parquet", "--json").last["rows"] == wanted


def test_following_ends_with_a_signal_and_reports(shop: Run) -> None:
    command = [sys.executable, "-u", "-m", "flyball", "ingest", "shop.py", "grows.jsonl", "--follow", "--json"]
    Path("grows.jsonl").write_text(VIEW + "\n")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while shop("export", "shop.py", "view", "--json").code == 2:
            assert process.poll() is None
        with open("grows.jsonl", "a") as file:
            file.write(VIEW.replace("04", "05") + "\n")
        while shop("export", "shop.py", "view", "--json").last["rows"] < 2:
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONG_S)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["accepted"] == {"view": 2}


@pytest.mark.parametrize("name", ["more.jsonl.gz", "more.JSONL.GZ"])
def test_a_compressed_file_is_read_by_the_ending_before(shop: Run, name: str) -> None:
    Path(name).write_bytes(gzip.compress(VIEW.encode()))
    assert shop("ingest", "shop.py", name, "--json").last["accepted"] == {"view": 1}
    Path("more.gz").write_bytes(gzip.compress(VIEW.encode()))
    assert "the format of more.gz must be named" in shop("ingest", "shop.py", "more.gz").err


def views(lines: int, stamp: str) -> str:
    return "".join(
        f'{{"type":"view","visitor":{n + 1},"item":"toys-04","at":"{stamp}:{n % 60:02d}Z"}}\n' for n in range(lines)
    )


def test_a_wrong_setting_stops_early_with_its_cause_unless_it_must_keep_going(shop: Run) -> None:
    Path("late.jsonl").write_text(views(6_000, "2099-05-01T00:00"))
    stopped = shop("ingest", "shop.py", "late.jsonl")
    assert stopped.code == 1
    assert "4,096 of the first 4,096 lines went to quarantine as future" in stopped.err
    assert "in another zone" in stopped.err
    assert "--keep-going" in stopped.err
    whole = shop("ingest", "shop.py", "late.jsonl", "--keep-going", "--json")
    assert (whole.code, whole.last["quarantined"]) == (1, {"future": 6_000})
    assert shop("quarantine", "list", "shop.py", "--json").last["open"] == {"future": 6_000}


def test_a_dry_run_shows_how_lines_are_understood_and_makes_no_home(shop: Run) -> None:
    Path("buys.csv").write_text(
        "at;visitor;item;price\n2026-07-01 12:00;7;toys-04;3,50\n2026-07-01 12:01;x;toys-04;1\n"
    )
    result = shop("ingest", "shop.py", "buys.csv", "--dry-run")
    assert result.code == 0
    assert "line 2: buy" in result.out
    assert "at = 2026-07-01 12:00:00+00:00 (2026-07-01T12:00:00Z)" in result.out
    assert "price = 3.5" in result.out
    assert "line 3: to quarantine as wrong_type" in result.out
    assert "of the first 2 events: 1 buy would be accepted" in result.out
    assert not Path(".flyball").exists()
    Path("bad.jsonl").write_text(BAD)
    refused = shop("ingest", "shop.py", "bad.jsonl", "--dry-run", "--json")
    assert (refused.code, refused.last["accepted"], refused.last["quarantined"]) == (1, {}, {"wrong_type": 1})
    assert not Path(".flyball").exists()
    Path("empty.jsonl").write_text("")
    assert shop("ingest", "shop.py", "empty.jsonl", "--dry-run").code == 1, "a look at no event has shown nothing"


def test_a_dry_run_shows_local_times_of_the_settings(shop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYBALL_ZONE", "Europe/Berlin")
    Path("views.csv").write_text("at,visitor,item\n2026-07-01 12:00,7,toys-04\n")
    shown = shop("ingest", "shop.py", "views.csv", "--dry-run").out
    assert "at = 2026-07-01 12:00:00+02:00 (2026-07-01T10:00:00Z)" in shown


def test_quarantine_is_emptied_by_source_and_time_or_as_a_whole(shop: Run) -> None:
    Path("in.jsonl").write_text(f"{BAD}\n{VIEW}\n")
    shop("ingest", "shop.py", "in.jsonl")
    shop("ingest", "shop.py", "-", stdin=f"{BAD}\nnot json\n{VIEW}\n")
    drop = ("quarantine", "drop", "shop.py", "--yes", "--json")
    assert shop(*drop, "--source", "in.jsonl", "--before", "2001-01-01").last == {"dropped": 0}
    assert shop(*drop, "--source", "in.jsonl").last == {"dropped": 1}
    assert shop(*drop, "--all").last == {"dropped": 2}
    assert shop("quarantine", "list", "shop.py").out == "nothing in quarantine\n"


def test_quarantine_is_emptied_by_reason_or_id_and_the_audit_trail_says_so(shop: Run) -> None:
    shop("ingest", "shop.py", "-", stdin=f"{BAD}\nnot json\n[]\n{VIEW}\n")
    for words in ([], ["--reason", "decode", "--id", "1"]):
        refused = shop("quarantine", "drop", "shop.py", *words)
        assert (refused.code, refused.err.startswith("flyball: what to drop must be said")) == (2, True)
    assert shop("quarantine", "drop", "shop.py", "--reason", "decode", stdin="n\n").code == 1
    assert shop("quarantine", "list", "shop.py", "--json").last["open"] == {"decode": 2, "wrong_type": 1}
    counted = shop("quarantine", "drop", "shop.py", "--reason", "decode", stdin="y\n")
    assert (counted.code, counted.out.splitlines()[0].split()[:2]) == (0, ["2", "decode"])
    assert shop("quarantine", "list", "shop.py", "--json").last["open"] == {"wrong_type": 1}
    assert shop("quarantine", "drop", "shop.py", "--id", "1", "--yes", "--json").last == {"dropped": 1}
    assert shop("quarantine", "list", "shop.py").out == "nothing in quarantine\n"
    assert shop("quarantine", "drop", "shop.py", "--id", "1", "--yes").code == 2
    trail = Registry(f"sqlite://{Path('.flyball/shop').absolute()}/registry.db").audit()
    assert [(entry.action, entry.subject, entry.after) for entry in trail] == [
        ("quarantine drop", "reason decode", {"dropped": 2}),
        ("quarantine drop", "id 1", {"dropped": 1}),
    ]


EMPTY = {"empty.jsonl": "", "blank.jsonl": "\n\n", "header.csv": "visitor,item,price,at\n"}


@pytest.mark.parametrize("name", EMPTY)
def test_a_file_without_an_event_fails(shop: Run, name: str) -> None:
    Path(name).write_text(EMPTY[name])
    got = shop("ingest", "shop.py", name)
    assert got.code == 1
    assert f"flyball: file {name} must hold one event or more, got none: was it cut short" in got.err
    assert shop("ingest", "shop.py", name, "--json").last["read"] == 0


def test_standard_input_may_come_to_nothing(shop: Run) -> None:
    got = shop("ingest", "shop.py", "-", stdin="")
    assert (got.code, got.err) == (0, "")
