"""`flyball features backfill`: rows of a file with the features of their keys as they were known at their times."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest
from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import FileLock, ManualClock
from flyball.features import point_in_time
from flyball.runtime import Runtime, load_settings

from .conftest import Run

DAY_US = 86_400_000_000
APP = (
    CINEMA
    + """
user = fb.Entity("user", watched=fb.count(Watch, "7d"), latest=fb.last_n(Watch, lambda w: w.film, 2))
film = fb.Entity("film", recent=fb.mean(Watch, lambda w: w.minute, "1d"))
pair = fb.Features("pair", keys=(user, film), seen=fb.count(Watch, fb.lifetime))
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(user, film, positive=fb.outcome(Watch, within="1d"), features=(pair,)),
    candidates={"popular": fb.Popular()},
)
"""
)


@pytest.fixture
def runtime(run: Run) -> Runtime:
    """Three hundred events of nine users over thirty days, known an hour after they happened."""
    Path("cinema.py").write_text(APP)
    runtime = Runtime(load_app("cinema.py"), load_settings(Path(".flyball/cinema")), ManualClock(100 * DAY_US))
    put(runtime, range(300))
    return runtime


def put(runtime: Runtime, numbers: range) -> None:
    records = []
    for number in numbers:
        at = 10 * DAY_US + number * DAY_US // 10
        fields = {"user": number % 9, "film": f"f{number % 7}", "minute": number % 90}
        records.append(runtime.schema.check("watch", fields, at, at + 3_600_000_000))
    runtime.log.append(records)


def rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user": [str(number % 11) for number in range(60)],
            "film": [f"f{number % 8}" for number in range(60)],
            "at": [10 * DAY_US + number * DAY_US // 2 for number in range(60)],
            "label": [number % 2 for number in range(60)],
        }
    )


def expected(runtime: Runtime, asked: pl.DataFrame) -> pl.DataFrame:
    """What one computation over all of the history gives."""
    return point_in_time(runtime.app.task.feature_groups, {"watch": runtime.history.events("watch")}, asked)


def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flyball.features.offline.backfill.BYTES_PER_EVENT", (1 << 20) // 40)


def test_parquet_in_and_out_in_small_parts(runtime: Runtime, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    many_parts(monkeypatch)
    rows().write_parquet("rows.parquet")
    done = run(
        "features",
        "backfill",
        "cinema.py",
        "--rows",
        "rows.parquet",
        "--out",
        "made/values.parquet",
        "--memory",
        "1MiB",
        "--json",
    )
    assert done.code == 0, done.err
    assert done.last["rows"] == 60
    assert done.last["events"] == 300
    assert done.last["features"] == ["user.watched", "user.latest", "film.recent", "pair.seen"]
    assert pl.read_parquet("made/values.parquet").equals(expected(runtime, rows()))
    assert [path.name for path in Path("made").iterdir()] == ["values.parquet"]


def test_csv_in_and_out_keeps_the_columns_as_they_were(runtime: Runtime, run: Run) -> None:
    Path("rows.csv").write_text(
        "note,user,at\nnoon,3,1970-01-20T12:00:00\nmicroseconds,3,1684800000000\nunknown,77,1970-02-01\n"
    )
    done = run("features", "backfill", "cinema.py", "--rows", "rows.csv", "--out", "values.csv")
    assert done.code == 0, done.err
    assert "wrote 3 rows with 2 features, from 300 events, to values.csv" in done.out
    made = list(csv.DictReader(Path("values.csv").read_text().splitlines()))
    must = expected(
        runtime,
        pl.DataFrame(
            {
                "user": ["3", "3", "77"],
                "film": [None] * 3,
                "at": [19 * DAY_US + DAY_US // 2, 1_684_800_000_000, 31 * DAY_US],
            },
            schema_overrides={"film": pl.String},
        ),
    )
    assert [row["at"] for row in made] == ["1970-01-20T12:00:00", "1684800000000", "1970-02-01"]
    assert [row["note"] for row in made] == ["noon", "microseconds", "unknown"]
    assert [int(row["user.watched"]) for row in made] == must["user.watched"].to_list()
    assert must["user.watched"].to_list()[0] > 0
    assert [json.loads(row["user.latest"]) for row in made] == must["user.latest"].to_list()


@pytest.mark.parametrize(("unit", "per_s"), [("seconds", 1), ("nanoseconds", 10**9)])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_times_in_another_unit_than_microseconds_are_refused(
    runtime: Runtime, run: Run, unit: str, per_s: int, ending: str
) -> None:
    times = [1_793_986_789_000_000, 1_793_986_789 * per_s]
    given, name = pl.DataFrame({"user": ["3", "3"], "at": times}), f"rows.{ending}"
    given.write_csv(name) if ending == "csv" else given.write_parquet(name)
    refused = run("features", "backfill", "cinema.py", "--rows", name, "--out", "values.csv")
    assert refused.code == 2
    assert f"at in row 2 of {name} must be ISO 8601, or microseconds since 1970; this looks like {unit}" in refused.err
    assert not Path("values.csv").exists()


def test_it_goes_on_over_the_same_events_when_it_was_stopped(
    runtime: Runtime, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_parts(monkeypatch)
    rows().write_parquet("rows.parquet")
    words = (
        "features",
        "backfill",
        "cinema.py",
        "--rows",
        "rows.parquet",
        "--out",
        "values.parquet",
        "--json",
        "--memory",
        "1MiB",
    )
    with monkeypatch.context() as broken:
        broken.setattr("flyball.features.offline.backfill._together", full)
        assert run(*words).code != 0
    assert not Path("values.parquet").exists()
    parts = {path: path.stat().st_mtime_ns for path in Path("values.parquet.parts").glob("*/part-*.parquet")}
    assert len(parts) > 10
    must = expected(runtime, rows())
    put(runtime, range(300, 500))
    monkeypatch.setattr("flyball.features.offline.backfill._compute", full)  # nothing is computed twice
    assert run(*words).code == 0
    assert pl.read_parquet("values.parquet").equals(must)
    assert not Path("values.parquet.parts").exists()


def test_other_rows_begin_with_the_events_of_now(runtime: Runtime, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows().write_parquet("rows.parquet")
    words = ("features", "backfill", "cinema.py", "--rows", "rows.parquet", "--out", "values.parquet", "--json")
    with monkeypatch.context() as broken:
        broken.setattr("flyball.features.offline.backfill._together", full)
        assert run(*words).code != 0
    put(runtime, range(300, 500))
    other = rows().with_columns(pl.col("at") + 30 * DAY_US)
    other.write_parquet("rows.parquet")
    assert run(*words).code == 0
    assert pl.read_parquet("values.parquet").equals(expected(runtime, other))


def test_two_at_once_to_one_file_are_refused(runtime: Runtime, run: Run) -> None:
    rows().write_parquet("rows.parquet")
    words = ("features", "backfill", "cinema.py", "--rows", "rows.parquet", "--out", "values.parquet")
    assert run(*words).code == 0
    (lock,) = Path(".flyball/cinema/run").glob("backfill-*.lock")
    with FileLock(lock, "the other one"):
        done = run(*words)
    assert done.code != 0
    assert "held by the other one" in done.err
    assert run(*words).code == 0


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("user,at\n1,yesterday\n", (), "at in row 1 of rows.csv"),
        ("user,at\n1,\n", (), "at in row 1 of rows.csv"),
        ("user,when\n1,2\n", (), "columns of rows.csv must be at"),
        ("actor,at\n1,2\n", (), "the keys user or film or user, film"),
        ("user,at\n1,2\n", ("--group", "film"), "the keys film"),
        ("user,at\n1,2\n", ("--group", "actor"), "no group of features 'actor'; known: user, film, pair"),
        ("user,at\n1,2\n", ("--memory", "lots"), "such as 2GB"),
        ("user,at\n1,2\n", ("--memory", "1KB"), "--memory must be 1MiB or more"),
        ("user,at\n1,2\n", ("--out", "values.xlsx"), ".parquet or .csv"),
        ("user,at\n1,2\n", ("--out", "rows.csv"), "another file than --rows, which would be lost"),
        (None, (), "must be an existing file"),
    ],
)
def test_what_is_wrong_is_reported(
    run: Run, runtime: Runtime, text: str | None, more: tuple[str, ...], message: str
) -> None:
    if text is not None:
        Path("rows.csv").write_text(text)
    done = run("features", "backfill", "cinema.py", "--rows", "rows.csv", "--out", "values.csv", *more)
    assert done.code == 2
    assert message in done.err.replace("\n", " ")
    assert not Path("values.csv").exists()


def test_both_files_must_be_named(run: Run, runtime: Runtime) -> None:
    for words, missing in (((), "--rows"), (("--rows", "a.csv"), "--out")):
        done = run("features", "backfill", "cinema.py", *words)
        assert done.code == 2
        assert f"Missing option '{missing}'" in done.err
