"""Where events came from: names without dates, numbers that all processes agree on, and what they leave as it was."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import pytest

from flyball.core import ManualClock
from flyball.events import (
    IMPORTED,
    SOURCE_FLAGS,
    DeclaredLog,
    EntityCatalog,
    Event,
    Inlet,
    LineSource,
    Ref,
    Schema,
    SourceNames,
    find_format,
    ingest,
    open_log,
    open_quarantine,
    source_flags,
    source_kind,
)
from flyball.history import HistoryConsumer, take_snapshot


class Buy(Event):
    user: Annotated[int, Ref("user")]


SCHEMA = Schema([Buy])
NOW_US = 1_790_000_000_000_000


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("http", "http"),
        ("standard input", "standard input"),
        ("/data/in/shop-2026-11-01.csv", "shop-*.csv"),
        ("/other/shop-2026-11-02.csv", "shop-*.csv"),
        ("pos7/2026-11-02T12:30:00Z.jsonl", "*.jsonl"),
        ("tills_20261101_0030.parquet", "tills_*.parquet"),
        ("log.1", "log.*"),
    ],
)
def test_files_that_differ_in_their_dates_are_one_source(name: str, kind: str) -> None:
    assert source_kind(name) == kind
    assert source_flags(name) == source_flags(kind)
    assert 0 < source_flags(name) == source_flags(name) & SOURCE_FLAGS


def test_sources_have_numbers_of_their_own_beside_all_other_flags() -> None:
    numbers = {source_flags(f"till-{chr(97 + number)}") for number in range(26)}
    assert len(numbers) == 26
    assert not SOURCE_FLAGS & (2 * IMPORTED - 1)


def test_names_that_several_note_at_once_are_kept(tmp_path: Path) -> None:
    assert SourceNames(tmp_path / "no" / "sources.txt").names() == {}
    path = tmp_path / "home" / "sources.txt"
    SourceNames(path).note("web")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: SourceNames(path).note("/in/till-2026-01-01.csv"), range(20)))
    assert SourceNames(path).names() == {source_flags("web"): "web", source_flags("till-*.csv"): "till-*.csv"}
    assert sorted(set(path.read_text().split())) == ["till-*.csv", "web"]


def ingested(folder: Path, *sources: tuple[str, str]) -> tuple[Inlet, list[int]]:
    """An inlet into which one event was ingested from each of (name, label), and the flags of the records."""
    folder.mkdir(parents=True)
    log = DeclaredLog(open_log(f"sqlite://{folder}/events.db?partitions=1"), SCHEMA)
    catalog = EntityCatalog(f"sqlite://{folder}/catalog.db", SCHEMA, {})
    quarantine = open_quarantine(f"sqlite://{folder}/q.db")
    inlet = Inlet(SCHEMA, log, quarantine, catalog, ManualClock(NOW_US), sources=SourceNames(folder / "sources.txt"))
    for number, (name, label) in enumerate(sources):
        line = b'{"type": "buy", "user": %d, "at": %d}\n' % (number, NOW_US - 1)
        ingest([line], LineSource(name, find_format("jsonl"), "jsonl", "history", label=label), inlet)
    return inlet, [record.flags for piece in log.read((0,), 9) for record in piece.records]


def test_each_record_has_the_number_of_its_source_and_imported_ones_stay_so(tmp_path: Path) -> None:
    inlet, flags = ingested(tmp_path / "home", ("/in/shop-2026.csv", ""), ("/in/x.csv", "tills"), ("x.csv", ""))
    assert flags == [IMPORTED | source_flags(name) for name in ("shop-*.csv", "tills", "x.csv")]
    assert inlet.sources is not None
    assert sorted(inlet.sources.names().values()) == ["shop-*.csv", "tills", "x.csv"]


def test_the_same_data_from_elsewhere_is_the_same_snapshot(tmp_path: Path) -> None:
    names = []
    for source in ("web", "till"):
        inlet, _ = ingested(tmp_path / source, (source, ""))
        history = HistoryConsumer(SCHEMA, tmp_path / source / "history", partitions=1)
        history.apply(inlet.log.read((0,), 9))
        history.flush()
        names.append(take_snapshot(tmp_path / source / "history", SCHEMA, NOW_US).name)
    assert names[0] == names[1]
