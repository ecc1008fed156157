"""Prints results: lines, tables that fit the terminal, one JSON object, a progress line."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import counted_units, printable, printable_line

if TYPE_CHECKING:
    from flyball.history import Delay

_GAP = "  "
_CLEAR = "\r\x1b[2K"


def say(text: str = "") -> None:
    """A line on standard output; control characters in it are escaped, as in all that is shown here."""
    sys.stdout.write(printable(text) + "\n")


def warn(text: str) -> None:
    """A line on standard error."""
    sys.stdout.flush()
    sys.stderr.write(printable(text) + "\n")


def show_json(value: Any) -> None:
    """One object, as the last line of standard output."""
    encoded = msgspec.json.encode(msgspec.to_builtins(value, str_keys=True), order="deterministic").decode()
    sys.stdout.write(printable(encoded) + "\n")
    sys.stdout.flush()


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    right: Sequence[str] = (),
    optional: Sequence[str] = (),
    wide: bool = False,
) -> None:
    """Rows under their columns; as records, a line for each cell, where the terminal is too narrow for that.

    `right`: columns of numbers. `optional`: columns left out where the terminal is too narrow, the last one first;
    `wide`: show them all the same. Into a pipe or file a line is as long as it needs to be.
    """
    cells = [["–" if cell is None else printable_line(str(cell)) for cell in row] for row in rows]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() and not wide else None
    kept = fitting_columns(columns, cells, optional, width)
    shown = [[row[position] for position in kept] for row in cells]
    for line in table_lines([columns[position] for position in kept], shown, right, width):
        say(line)
    if len(kept) < len(columns):
        left = [name for position, name in enumerate(columns) if position not in kept]
        say(f"(no room for {', '.join(left)}: see --wide or --json)")


def fitting_columns(
    columns: Sequence[str], cells: Sequence[Sequence[str]], optional: Sequence[str], width: int | None
) -> list[int]:
    """The positions of the columns to show at most `width` wide: without the last of `optional` that do not fit.

    >>> fitting_columns(["id", "n", "why"], [["a", "1", "because"]], optional=["n", "why"], width=8)
    [0, 1]
    """
    widths = [max(len(row[position]) for row in [list(columns), *cells]) for position in range(len(columns))]
    kept = list(range(len(columns)))
    for name in reversed(optional):
        if width is None or sum(widths[position] + len(_GAP) for position in kept) - len(_GAP) <= width:
            break
        kept.remove(list(columns).index(name))
    return kept


def applied_words(delays: "Mapping[str, Delay]") -> str:
    """How late consumers apply events, in one line."""
    words = [f"{name} after {delay.p99_us / 1e6:.2f} s" for name, delay in sorted(delays.items(), reverse=True)]
    return f"99 of 100 live events are applied: {', '.join(words)}"


def table_lines(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[str] = (), width: int | None = None
) -> list[str]:
    """The lines of a table at most `width` wide, or of records when that cannot be.

    >>> table_lines(["id", "n"], [["a", "1"], ["b", "10"]], right=["n"])
    ['id   n', 'a    1', 'b   10']
    >>> table_lines(["id", "why"], [["a", "for long reasons"]], width=12)
    ['id   a', 'why  for long reasons']
    """
    every = [list(columns), *cells]
    widths = [max(len(row[index]) for row in every) for index in range(len(columns))]
    needed = sum(widths) + len(_GAP) * (len(widths) - 1)
    if width is not None and needed > width:
        return _records(columns, cells)
    return [
        _GAP.join(
            cell.rjust(size) if name in right else cell.ljust(size)
            for cell, size, name in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in every
    ]


def _records(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    size = max(len(name) for name in columns)
    lines: list[str] = []
    for row in cells:
        lines += [""] if lines else []
        lines += [f"{name:<{size}}{_GAP}{cell}" for name, cell in zip(columns, row, strict=True) if cell]
    return lines


@contextmanager
def progress_line(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A progress line on standard error that is overwritten; nothing when quiet or when it is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda text: None
        return
    width = shutil.get_terminal_size().columns - 1

    def show(text: str) -> None:
        sys.stderr.write(_CLEAR + printable_line(text)[:width])
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


def listed(names: Sequence[str], most: int = 12) -> str:
    """The names, of many the first.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(counts: dict[str, int]) -> str:
    """ "3 buy, 12 view"."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))


def quoted_note(cells: int) -> str:
    """What is said of cells in a CSV that were changed for spreadsheets."""
    return (
        f"note: {counted_units(cells, 'cell')} would be run as a formula by a spreadsheet and got ' before it; "
        "--as-is leaves them"
    )
