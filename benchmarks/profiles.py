"""The profile of a wide file: seconds, cells a second and memory of `flyball profiles show`, beside polars' `describe`.

Run: python benchmarks/profiles.py [--rows 200000] [--columns 100]

The file is Parquet as polars writes it: of ten columns six hold normal numbers, two whole numbers up to 1,000, one
text of 50 words, one numbers of which a fifth is missing. `describe` gives counts, means and exact quartiles of a file
in memory; no distinct values, frequent values or profile to merge.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

KINDS = 10
DESCRIBE = "import polars as pl, sys; pl.read_parquet(sys.argv[1]).describe()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--alone", action="store_true", help="leave out describe, which needs the file in memory")
    parser.add_argument("--folder", default=None, help="where the file is made, and removed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        file = Path(folder) / "rows.parquet"
        columns(chosen.rows, chosen.columns).sink_parquet(file)
        print(f"{chosen.rows:,} rows x {chosen.columns:,} columns, {file.stat().st_size / 2**20:,.0f} MB of Parquet")
        profile = Path(folder) / "rows.profile"
        ours = run([sys.executable, "-m", "flyball", "profiles", "show", str(file), "--out", str(profile)])
        cells = chosen.rows * chosen.columns
        print(
            f"Flyball   {ours[0]:8.1f} s, CPU {ours[1]:8.1f} s, {cells / ours[0] / 1e6:6.1f} M cells a second, ", end=""
        )
        print(f"at most {ours[2]:,.0f} MB; {profile.stat().st_size / chosen.columns / 1024:.1f} KB of profile a column")
        if not chosen.alone:
            peer = run([sys.executable, "-c", DESCRIBE, str(file)])
            print(f"describe  {peer[0]:8.1f} s, CPU {peer[1]:8.1f} s, at most {peer[2]:,.0f} MB")


def columns(rows: int, width: int) -> pl.LazyFrame:
    """`rows` of `width` columns; the rows repeat after 100,000, so that a file of many is made quickly."""
    rng = np.random.default_rng(3)
    piece = min(rows, 100_000)
    words = np.array([f"word-{number}" for number in range(50)])

    def column(number: int) -> np.ndarray:
        kind = number % KINDS
        if kind < 6:
            return rng.normal(size=piece)
        if kind < 8:
            return rng.integers(0, 1_000, piece)
        return (
            rng.choice(words, piece) if kind == 8 else np.where(rng.random(piece) < 0.2, np.nan, rng.normal(size=piece))
        )

    table = pl.DataFrame({f"c{number}": column(number) for number in range(width)}).lazy()
    return pl.concat([table] * -(-rows // piece)).head(rows)


def run(command: list[str]) -> tuple[float, float, float]:
    """(seconds, CPU seconds, greatest memory in MB) of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
