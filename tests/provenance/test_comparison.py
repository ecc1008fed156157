"""Two homes with the same events are identical; a difference planted in any part is named there, and only there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from flyball.events import IMPORTED, Record, source_flags
from flyball.provenance import HomeComparison, compare
from flyball.provenance.comparison import _same
from flyball.runtime import Runtime, load_settings

from .conftest import DAY_US, START_US, Cinema

NOW_US = START_US + 30 * DAY_US


@pytest.fixture
def answered(learned: Cinema) -> Cinema:
    learned.champion("item_knn")
    learned.answer(1, 2, 3, 999)
    learned.follow()
    learned.runtime.history_consumer.flush()
    return learned


def other_of(cinema: Cinema, folder: Path) -> Runtime:
    """The application at a copy of its home."""
    home = folder / "other"
    shutil.copytree(cinema.runtime.home, home)
    return Runtime(cinema.runtime.app, load_settings(home), cinema.clock)


def different(comparison: HomeComparison) -> set[str]:
    assert not comparison.identical
    return {part.part for part in comparison.parts if part.different}


def test_a_copy_is_identical_and_says_how_much_was_compared(answered: Cinema, tmp_path: Path) -> None:
    comparison = compare(answered.runtime, other_of(answered, tmp_path), NOW_US)
    assert comparison.identical, comparison.text()
    counts = {part.part: part.compared for part in comparison.parts}
    assert counts["events"] == sum(answered.runtime.log.ends())
    assert counts["answers"] == 4
    assert counts["versions"] == len(answered.runtime.registry.versions())
    assert counts["state"] == len(list(answered.runtime.state.scan(b"")))
    assert counts["snapshot"] == len(answered.runtime.schema.types)
    assert comparison.text().splitlines()[0].endswith("identical, bit for bit")


def test_where_events_came_from_makes_no_difference() -> None:
    record = Record("watch", "1", 5, 5, b"i" * 16, b"", IMPORTED)
    elsewhere = msgspec.structs.replace(record, flags=IMPORTED | source_flags("web"))
    assert _same(record, elsewhere)
    assert not _same(record, msgspec.structs.replace(elsewhere, at=6))
    assert not _same(record, msgspec.structs.replace(elsewhere, flags=source_flags("web")))
    assert not _same(record, None)


def one_more_event(other: Runtime) -> None:
    other.log.append([other.schema.check("watch", {"user": 1, "film": "f9", "minute": 8}, NOW_US, NOW_US)])


def another_value(other: Runtime) -> None:
    key, value = next(other.state.scan(b""))
    other.state.write({key: value + b"?"}, other.state.offsets())


def one_entry_more(other: Runtime) -> None:
    other.state.write({b"\xff\xff": b"?"}, other.state.offsets())


def another_artifact(other: Runtime) -> None:
    registry = other.registry
    (version,) = [version for version in registry.versions() if version.candidate == "popular"]
    files = {**version.artifact_files, "items.json": "0" * 64}
    with registry.database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE versions SET artifact_files = ? WHERE number = ?",
            (msgspec.json.encode(files).decode(), int(version.id[1:])),
        )


def a_history_without_a_part(other: Runtime) -> None:
    manifest = msgspec.json.decode((other.history_folder / "manifest.json").read_bytes())
    manifest["parts"] = [part for part in manifest["parts"] if part["type"] != "watch"]
    (other.history_folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))


@pytest.mark.parametrize(
    ("plant", "parts", "words"),
    [
        (one_more_event, {"events"}, "missing, watch"),
        (another_value, {"state"}, " bytes "),
        (one_entry_more, {"state"}, "missing, 1 bytes 3f"),
        (another_artifact, {"versions"}, "(popular): file items.json differs"),
        (a_history_without_a_part, {"snapshot"}, "watch: "),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_difference_is_named_in_its_part(
    answered: Cinema, tmp_path: Path, plant: Callable[[Runtime], None], parts: set[str], words: str
) -> None:
    other = other_of(answered, tmp_path)
    plant(other)
    comparison = compare(answered.runtime, other, NOW_US)
    assert different(comparison) == parts
    assert words in comparison.text()


def test_an_artifact_that_is_gone_is_a_difference_of_the_answers(answered: Cinema, tmp_path: Path) -> None:
    other = other_of(answered, tmp_path)
    (version,) = [version for version in other.registry.versions() if version.candidate == "item_knn"]
    shutil.rmtree(other.artifacts / version.artifact)
    comparison = compare(answered.runtime, other, NOW_US)
    assert different(comparison) == {"answers"}
    assert f"cannot be computed in {other.home}: the artifact of {version.id} must still be in" in comparison.text()


def test_homes_without_events_are_not_called_identical(learned: Cinema, tmp_path: Path) -> None:
    empty = [Runtime(learned.runtime.app, load_settings(tmp_path / name), learned.clock) for name in ("a", "b")]
    comparison = compare(*empty, as_of_us=NOW_US)
    assert not comparison.identical
    assert "no version has answered" in comparison.text()
