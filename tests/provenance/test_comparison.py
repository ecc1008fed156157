"""Two homes with the same events are identical; a difference planted in any part is named there, and only there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.events import IMPORTED, Record, source_flags
from flyball.features import FeatureConsumer
from flyball.provenance import HomeComparison, compare
from flyball.provenance.comparison import _features, _same
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


FEATURES = """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(
        fb.Entity("user"),
        fb.Entity("film", views=fb.count(Watch, "2d"), viewers=fb.distinct(Watch, lambda w: w.user, "1d")),
        positive=fb.outcome(Watch, within="1d"),
    ),
    candidates={"popular": fb.Popular()},
)
"""


def test_values_of_features_are_compared_and_not_how_the_batches_left_them(tmp_path: Path) -> None:
    """In one batch keys expire and events become tiles otherwise than in many."""
    (tmp_path / "cinema.py").write_text(CINEMA + FEATURES)
    app, clock = load_app(str(tmp_path / "cinema.py")), ManualClock(START_US + 20 * DAY_US)
    homes = [Runtime(app, load_settings(tmp_path / name), clock) for name in ("one", "many", "fewer")]
    for home in homes:
        at = [START_US + number * DAY_US // 100 for number in range(1_500)]
        watched = [
            {"user": number % 30, "film": f"f{number % 11}-{number // 500}", "minute": 1} for number in range(1_500)
        ]
        home.log.append([home.schema.check("watch", fields, us, us) for fields, us in zip(watched, at, strict=True)])
    for home, limit in zip(homes, (10_000, 7, 7), strict=True):
        groups, store = app.task.about.feature_groups, home.feature_state
        consumer = FeatureConsumer(
            home.schema, groups, store, partitions=len(home.log.ends()), clock=clock, log=home.log
        )
        while read := home.log.read(consumer.offsets(), limit):
            if limit == 7 and home is homes[2] and consumer.offsets()[0] > 50:
                read = [replace(piece, records=[], first=piece.end, skipped=piece.end - piece.start) for piece in read]
            consumer.apply(read)
    parts = [_features(homes[0], other, 50_000) for other in homes[1:]]
    assert dict(homes[0].feature_state.scan(b"f/")) != dict(homes[1].feature_state.scan(b"f/"))
    assert (parts[0].different, parts[0].compared) == (0, 33)
    assert parts[1].different > 0
    assert "film.views of f" in parts[1].differences[0]
    assert _features(homes[0], homes[1], 3).note == "of the first 3 keys"
