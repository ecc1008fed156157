"""A file of requests is answered as a service would, whatever its format, and a run that ended early goes on."""

import csv
import gc
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import call

from flyball.app import App, load_app
from flyball.compute import InProcess, Lost, Started
from flyball.core import BadInput, HomeBusy, ManualClock, NotFound
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings
from flyball.serving import answer_file
from flyball.serving.file_answers import rows_of
from flyball.serving.row_answers import answer_rows
from flyball.simulation import DAY_US, new_plan, seed_home

FILE = Path(__file__).parents[1] / "tasks" / "predict" / "city.py"
NOW_US = 1_767_225_600_000_000 + 3 * DAY_US

ROWS = [
    {"order": 900_000 + number, "kitchen": "abc"[number % 3], "km": float(number % 7), "town": f"t{number}"}
    for number in range(25)
]


def city() -> App:
    return load_app(str(FILE))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a released version."""
    folder = tmp_path_factory.mktemp("batch")
    runtime = Runtime(city(), load_settings(folder), ManualClock(NOW_US))
    seed_home(runtime, new_plan(runtime.app, NOW_US))
    assert learn(runtime, workers=1).released
    catch_up(runtime)
    return folder


def runtime_of(home: Path) -> Runtime:
    return Runtime(city(), load_settings(home), ManualClock(NOW_US))


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("reads", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("writes", ["csv", "jsonl", "parquet"])
def test_every_format_gets_the_same_answers(home: Path, tmp_path: Path, reads: str, writes: str) -> None:
    source, out = write(tmp_path / f"in.{reads}", ROWS), tmp_path / f"out.{writes}"
    report = answer_file(runtime_of(home), source, out, part_rows=10)
    assert (report.rows, report.failed, report.reused, report.levels) == (25, 0, 0, {"champion": 25})
    answered = read(out)
    assert [row["town"] for row in answered] == [row["town"] for row in ROWS]
    for sent, row in zip(ROWS, answered, strict=True):
        expected = {"a": 10.0, "b": 30.0, "c": 20.0}[str(sent["kitchen"])] + 4 * float(str(sent["km"]))
        assert float(row["predicted_value"]) == pytest.approx(expected, abs=6.0)
        assert row["version"] in report.versions
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [source.name, out.name, f"{out.name}.lineage.json"]
    )
    lineage = json.loads(out.with_name(f"{out.name}.lineage.json").read_text())
    (version,) = report.versions
    registered = runtime_of(home).registry.version(version)
    assert lineage["snapshots"] == {version: registered.snapshot}
    assert lineage["artifacts"] == {version: registered.artifact_files["manifest.json"]}
    assert len(lineage["offsets"]) == 2


_CELLS = st.text(st.sampled_from('ab ,"\n\r\u00e9'), max_size=4)


@given(
    names=st.lists(_CELLS, min_size=1, max_size=4, unique=True),
    rows=st.lists(st.lists(_CELLS, max_size=4), max_size=8),
)
def test_rows_of_a_csv_are_those_of_the_standard_library(names: list[str], rows: list[list[str]]) -> None:
    names = [f"n{name}" for name in names]  # a header is no blank line
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([names, *(row[: len(names)] for row in rows)])
        with open(path, newline="") as file:
            assert list(rows_of(path, "csv")) == list(csv.DictReader(file))


def test_what_a_spreadsheet_would_run_gets_an_apostrophe_unless_it_is_to_stay(home: Path, tmp_path: Path) -> None:
    hostile = [{**row, "town": "=1+1"} for row in ROWS]
    source = write(tmp_path / "in.csv", hostile)
    report = answer_file(runtime_of(home), source, tmp_path / "out.csv", part_rows=10)
    assert {row["town"] for row in read(tmp_path / "out.csv")} == {"'=1+1"}
    assert report.quoted == 25
    report = answer_file(runtime_of(home), source, tmp_path / "raw.csv", as_is=True)
    assert {row["town"] for row in read(tmp_path / "raw.csv")} == {"=1+1"}
    assert report.quoted == 0
    answer_file(runtime_of(home), source, tmp_path / "out.jsonl")
    assert {row["town"] for row in read(tmp_path / "out.jsonl")} == {"=1+1"}


def test_the_garbage_collector_is_left_as_it_was(home: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", ROWS)
    for was in (gc.enable, gc.disable):
        was()
        before = gc.isenabled()
        try:
            answer_file(runtime_of(home), source, tmp_path / "out.jsonl")
            assert gc.isenabled() == before
        finally:
            gc.enable()


def test_a_run_that_ended_early_goes_on_where_it_was(home: Path, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv"

    class Crash(Exception):
        pass

    def crash(text: str) -> None:
        if text.startswith("20"):
            raise Crash

    with pytest.raises(Crash):
        answer_file(runtime_of(home), source, out, crash, part_rows=10)
    assert not out.exists()
    first = (tmp_path / "out.csv.parts" / "000000.csv").read_bytes()
    report = answer_file(runtime_of(home), source, out, part_rows=10)
    assert (report.rows, report.reused) == (25, 20)
    assert out.read_bytes().startswith(first)
    whole = tmp_path / "whole.csv"
    answer_file(runtime_of(home), source, whole, part_rows=10)
    assert whole.read_bytes() == out.read_bytes()


def test_parts_of_another_input_are_not_taken(home: Path, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv"
    with pytest.raises(ZeroDivisionError):
        answer_file(runtime_of(home), source, out, lambda text: 1 // 0, part_rows=10)  # type: ignore[arg-type, return-value]
    write(source, [{**row, "km": 1.0} for row in ROWS])
    assert answer_file(runtime_of(home), source, out, part_rows=10).reused == 0


def test_rows_that_are_no_requests_are_reported_and_the_others_answered(home: Path, tmp_path: Path) -> None:
    rows = [{**ROWS[0], "km": "far"}, ROWS[1], {**ROWS[2], "order": ""}]
    out = tmp_path / "out.jsonl"
    report = answer_file(runtime_of(home), write(tmp_path / "in.jsonl", rows), out)
    assert (report.rows, report.failed) == (3, 2)
    first, second, third = read(out)
    assert "km" in first["error"]
    assert "order" in third["error"]
    assert (first["predicted_value"], second["error"]) == (None, None)
    assert second["predicted_value"] > 0


def test_files_that_cannot_be_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        answer_file(runtime_of(home), tmp_path / "none.csv", tmp_path / "out.csv")
    source = write(tmp_path / "in.csv", ROWS)
    with pytest.raises(BadInput, match=r"\.parquet"):
        answer_file(runtime_of(home), source, tmp_path / "out.xlsx")


def test_the_file_of_requests_is_never_written_over(home: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", ROWS)
    before = source.read_bytes()
    with pytest.raises(BadInput, match="another file than the requests"):
        answer_file(runtime_of(home), source, source)
    assert source.read_bytes() == before


def test_a_second_run_into_the_same_file_is_refused_while_the_first_one_answers(home: Path, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv"
    refused = []

    def second(text: str) -> None:
        with pytest.raises(HomeBusy, match=r"--out .*out\.csv, process") as error:
            answer_file(runtime_of(home), source, out, part_rows=10)
        refused.append(error.value)

    assert answer_file(runtime_of(home), source, out, second, part_rows=10).failed == 0
    assert len(refused) == 3
    assert answer_file(runtime_of(home), source, out, part_rows=10).rows == 25


def test_values_are_named_by_the_version_that_gives_them_after_the_file_declares_another_kind(
    home: Path, tmp_path: Path
) -> None:
    text = FILE.read_text()
    edited = tmp_path / "city.py"
    edited.write_text(
        text.replace("        slices=", '        kind="quantiles",\n        slices=').replace('"mae"', '"pinball"')
    )
    runtime = Runtime(load_app(str(edited)), load_settings(home), ManualClock(NOW_US))
    assert runtime.app.task.about.values == ("q10", "q50", "q90")
    rows: list[dict[str, Any]] = [*ROWS[:3], {**ROWS[3], "km": "far"}]
    source = write(tmp_path / "in.jsonl", rows)
    answer_file(runtime, source, tmp_path / "now.jsonl")
    answer_file(runtime_of(home), source, tmp_path / "then.jsonl")
    now, then = read(tmp_path / "now.jsonl"), read(tmp_path / "then.jsonl")
    assert [row["predicted_value"] for row in now[:3]] == [row["predicted_value"] for row in then[:3]]
    assert None not in [row["predicted_value"] for row in now[:3]]
    assert list(now[3]) == list(now[0])
    assert "predicted_q50" not in now[0]


def test_the_command_answers_a_file(home: Path, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.csv", ROWS), tmp_path / "out.parquet"
    ran = call("predict", str(FILE), str(source), "--out", str(out), "--home", str(home))
    assert ran.code == 0, ran.out + ran.err
    assert "25 rows: 25 champion" in ran.out
    ran = call("predict", str(FILE), str(source), "--out", str(out), "--home", str(home), "--json")
    assert ran.last["levels"] == {"champion": 25}


@pytest.mark.parametrize("reads", ["csv", "jsonl", "parquet"])
def test_a_column_at_says_when_each_request_is_made(home: Path, tmp_path: Path, reads: str) -> None:
    """The same answers as without it five hours later."""
    later_us = NOW_US + 5 * 3_600_000_000
    text = "2026-01-04T05:00:00Z"
    dated = [{**row, "at": later_us if row["order"] % 2 else text} for row in ROWS]
    if reads == "parquet":
        dated = [{**row, "at": later_us} for row in ROWS]
    if reads == "csv":
        dated = [{**row, "at": text} for row in ROWS]
    answer_file(runtime_of(home), write(tmp_path / f"dated.{reads}", dated), tmp_path / "dated_out.jsonl")
    later = Runtime(city(), load_settings(home), ManualClock(later_us))
    answer_file(later, write(tmp_path / "plain.jsonl", ROWS), tmp_path / "plain_out.jsonl")
    answers = [
        [row["predicted_value"] for row in read(tmp_path / name)] for name in ("dated_out.jsonl", "plain_out.jsonl")
    ]
    assert answers[0] == answers[1]
    now = answer_file(runtime_of(home), tmp_path / "plain.jsonl", tmp_path / "now.jsonl")
    assert [row["predicted_value"] for row in read(tmp_path / "now.jsonl")] != answers[1], now


def test_what_is_no_time_is_reported_with_its_row(home: Path, tmp_path: Path) -> None:
    report = answer_file(
        runtime_of(home),
        write(tmp_path / "in.jsonl", [{**ROWS[0], "at": "yesterday"}, ROWS[1]]),
        tmp_path / "out.jsonl",
    )
    assert (report.rows, report.failed) == (2, 1)
    assert "yesterday" in report.first_failure


def test_columns_that_no_request_has_are_reported(home: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{**ROWS[0], "kilometers": 3.0}])
    ran = call("predict", str(FILE), str(source), "--out", str(tmp_path / "out.csv"), "--home", str(home))
    assert "ignored columns that are not fields of the request: kilometers, town" in ran.err
    lineage = json.loads((tmp_path / "out.csv.lineage.json").read_text())
    assert lineage["unknown"] == ["kilometers", "town"]


class Dying(InProcess):
    """Compute whose second task dies with its process."""

    def __init__(self) -> None:
        self.started = 0

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
        self.started += 1
        return [(started[0], Lost("killed by SIGKILL"))] if self.started == 2 else super().wait(started, timeout_s)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_tasks_answer_with_the_same_bytes(home: Path, tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "in.jsonl", ROWS)
    here = answer_file(runtime_of(home), source, tmp_path / "here" / name, part_rows=10)
    elsewhere = answer_file(runtime_of(home), source, tmp_path / "tasks" / name, part_rows=10, compute=InProcess())
    assert (tmp_path / "tasks" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert elsewhere == msgspec.structs.replace(here, out=elsewhere.out)


def test_a_task_that_dies_costs_its_own_part(home: Path, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv"
    with pytest.raises(RuntimeError, match="process must end with a result, got killed by SIGKILL"):
        answer_file(runtime_of(home), source, out, part_rows=10, compute=Dying())
    assert [path.name for path in sorted((tmp_path / "out.csv.parts").glob("*.json"))] == ["000000.json", "000002.json"]
    assert answer_file(runtime_of(home), source, out, part_rows=10, compute=InProcess()).reused == 15
    answer_file(runtime_of(home), source, tmp_path / "here.csv", part_rows=10)
    assert out.read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_a_part_needs_nothing_but_the_stores(home: Path, tmp_path: Path) -> None:
    runtime = runtime_of(home)
    content, note = answer_rows(runtime.source, runtime.settings, NOW_US, list(ROWS[:3]), 0, "jsonl", False)
    assert (note.rows, note.failed, content.count(b"\n")) == (3, 0, 3)


def test_processes_answer_a_file_on_the_command_line(home: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{**row, "at": "2026-01-03T00:00:00Z"} for row in ROWS])
    words = ["predict", str(FILE), source, "--home", home]
    first = call(*words, "--out", tmp_path / "one.jsonl")
    assert first.code == 0, first.err
    second = call(*words, "--out", tmp_path / "two.jsonl", "--workers", "2")
    assert second.code == 0, second.err
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
