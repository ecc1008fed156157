"""Files of rows give the same profile in every format, in parts and by windows; what cannot be read is refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flyball.core import BadInput
from flyball.monitoring import TableProfile, profile_table
from flyball.monitoring.profiles import table_file

DAY_US = 86_400_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = pl.DataFrame(
    {
        "at": [START + timedelta(hours=7 * number) for number in range(20)],
        "amount": [number / 4 if number % 5 else None for number in range(20)],
        "country": ["de", "fr"] * 10,
    }
)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_profile(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows{ending}"
    {".csv": ROWS.write_csv, ".jsonl": ROWS.write_ndjson, ".parquet": ROWS.write_parquet}[ending](path)
    assert profile_table(path, "at", DAY_US).merged() == TableProfile.of(ROWS.drop("at"))


def test_windows_hold_the_rows_of_their_time(tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    profiles = profile_table(tmp_path / "rows.parquet", "at", DAY_US)
    for start, window in profiles.windows.items():
        first = datetime.fromtimestamp(start / 1e6, UTC)
        rows = ROWS.filter((pl.col("at") >= first) & (pl.col("at") < first + timedelta(days=1)))
        assert window == TableProfile.of(rows.drop("at"))
    assert sum(window.rows for window in profiles.in_order()) == 20


def test_a_file_in_parts_is_the_same_as_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pl.DataFrame({"number": range(5_500), "text": [str(number % 7) for number in range(5_500)]})
    table.write_csv(tmp_path / "rows.csv")
    whole = profile_table(tmp_path / "rows.csv")
    monkeypatch.setattr(table_file, "_PART_VALUES", 2_000)
    parts = profile_table(tmp_path / "rows.csv")
    for name in table.columns:
        of_parts, of_whole = parts.windows[0].columns[name], whole.windows[0].columns[name]
        assert (of_parts.rows, of_parts.quantiles.count) == (5_500, 5_500)
        assert of_parts.quantiles.cdf([1_000, 4_000]) == pytest.approx(of_whole.quantiles.cdf([1_000, 4_000]), abs=0.02)
        assert (of_parts.distinct, of_parts.buckets) == (of_whole.distinct, of_whole.buckets)
        assert of_parts.numbers.mean == pytest.approx(of_whole.numbers.mean)


def test_a_late_text_makes_a_column_of_texts(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n" + "1\n" * 20_000 + "x\n")
    assert profile_table(tmp_path / "rows.csv").windows[0].columns["a"].kinds == {"text": 20_001}


@pytest.mark.parametrize("values", [[0, DAY_US], ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"]])
def test_times_may_be_microseconds_or_text(tmp_path: Path, values: list) -> None:
    pl.DataFrame({"t": values, "a": [1, 2]}).write_parquet(tmp_path / "rows.parquet")
    assert sorted(profile_table(tmp_path / "rows.parquet", "t", DAY_US).windows) == [0, DAY_US]


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with pytest.raises(BadInput, match="file must be one that exists"):
        profile_table(path)
    path.write_text("t,a\nnever,1\n")
    with pytest.raises(BadInput, match="time column must be one of t, a, got 'at'"):
        profile_table(path, "at", DAY_US)
    with pytest.raises(BadInput, match="column t of a row must be a time, such as .*, got 'never'"):
        profile_table(path, "t", DAY_US)
    pl.DataFrame({"t": [0.5]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(BadInput, match="column t must be of times, .*, got 'Float64'"):
        profile_table(tmp_path / "b.parquet", "t", DAY_US)
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadInput, match=r"b\.parquet must be a readable parquet file"):
        profile_table(tmp_path / "b.parquet")
    with pytest.raises(BadInput, match=r"named with one of \.csv"):
        profile_table(tmp_path / "rows.txt")


@pytest.mark.parametrize("time", [None, "at"])
def test_a_wide_table_is_the_same_in_blocks_of_columns(
    tmp_path: Path, time: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {f"c{number}": pl.Series(range(number, number + 20)) for number in range(7)}
    ROWS.with_columns(**columns).write_parquet(tmp_path / "rows.parquet")
    whole = profile_table(tmp_path / "rows.parquet", time, DAY_US)
    monkeypatch.setattr(table_file, "_BLOCK_COLUMNS", 3)
    blocks = profile_table(tmp_path / "rows.parquet", time, DAY_US)
    assert blocks == whole
    assert list(blocks.merged().columns) == list(whole.merged().columns)


def test_a_file_of_times_alone_counts_its_rows(tmp_path: Path) -> None:
    ROWS.select("at").write_parquet(tmp_path / "rows.parquet")
    assert profile_table(tmp_path / "rows.parquet", "at", DAY_US).merged() == TableProfile(20)
