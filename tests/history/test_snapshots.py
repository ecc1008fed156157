"""A snapshot's name tells its data."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import ArtifactCorrupt, BadInput, NotFound
from flyball.events import IMPORTED, Record, Schema
from flyball.history import Delay, History, HistoryConsumer, Snapshot, export, learned_lag, load_snapshot, take_snapshot
from flyball.history.digest import digest_of
from flyball.testing.state_contract import divided
from flyball.testing.state_logs import APPLICATION, HOUR, PARTITIONS, START, Joined, records

SCHEMA = APPLICATION.schema
DAY = 24 * HOUR


def stored(folder: Path, came: Sequence[Record]) -> Path:
    consumer = HistoryConsumer(SCHEMA, folder, partitions=PARTITIONS)
    consumer.apply(divided(APPLICATION.partitioned(came), [])[0])
    consumer.flush()
    return folder


def snapshot(folder: Path, as_of_us: int = START + 10**15) -> Snapshot:
    return take_snapshot(folder, SCHEMA, as_of_us)


@given(records(), st.randoms(use_true_random=False), st.sampled_from([START, START + HOUR, START + 10**15]))
@settings(max_examples=25, deadline=None)
def test_order_of_arrival_and_files_do_not_change_the_name(
    tmp_path_factory: pytest.TempPathFactory, came: list[Record], rng: random.Random, as_of_us: int
) -> None:
    mixed = list({record.id: record for record in came}.values())
    rng.shuffle(mixed)
    one = snapshot(stored(tmp_path_factory.mktemp("one"), came), as_of_us)
    other = snapshot(stored(tmp_path_factory.mktemp("other"), came[::-1][::-1]), as_of_us)
    third_log = tmp_path_factory.mktemp("third")
    first_of = {record.id: record for record in came}
    third = snapshot(stored(third_log, [first_of[record.id] for record in mixed]), as_of_us)
    assert one.name == other.name == third.name
    for name in SCHEMA.types:
        kept = [record for record in first_of.values() if record.type == name and record.known_at <= as_of_us]
        assert one.types[name].rows == one.frame(name).height == len(kept)


def watch(at: int, known_at: int | None = None, minute: int = 1, user: int = 1) -> Record:
    return APPLICATION.record("watch", at, known_at, user=user, film="a", minute=minute)


def test_any_difference_changes_the_name(tmp_path: Path) -> None:
    sets = [
        [],
        [watch(START)],
        [watch(START + 1)],
        [watch(START, START + 1)],
        [watch(START, minute=2)],
        [watch(START, user=2)],
        [watch(START), watch(START + 1)],
        [APPLICATION.record("joined", START, user=1)],
        [APPLICATION.record("rate", START, user=1, film="a", stars=None)],
        [APPLICATION.record("rate", START, user=1, film="a", stars=0)],
        [APPLICATION.record("filmcard", START, film="a", genres=["x", "y"])],
        [APPLICATION.record("filmcard", START, film="a", genres=["y", "x"])],
    ]
    names = [snapshot(stored(tmp_path / str(place), came)).name for place, came in enumerate(sets)]
    assert len(set(names)) == len(sets)
    assert take_snapshot(tmp_path / "0", Schema([Joined]), START).name not in names


def test_what_became_known_later_is_not_in_it(tmp_path: Path) -> None:
    came = [watch(START, START + at, minute=at) for at in (0, 9, 10, 11)] + [watch(START + 99, START + 10)]
    folder = stored(tmp_path, came)
    taken = snapshot(folder, START + 10)
    assert sorted(taken.frame("watch")["known_at"].to_list()) == [START, START + 9, START + 10, START + 10]
    assert (taken.types["watch"].first_at_us, taken.types["watch"].last_at_us) == (START, START + 99)


def test_a_snapshot_stays_what_it_was_while_the_history_grows(tmp_path: Path) -> None:
    first = [watch(START + at) for at in range(5)]
    taken = snapshot(stored(tmp_path, first))
    before = taken.frame("watch")
    consumer = HistoryConsumer(SCHEMA, tmp_path, partitions=PARTITIONS, fan_in=2)
    log = APPLICATION.partitioned([*first, *[watch(START + at) for at in range(5, 9)]])
    consumer.apply(divided(log, [])[0])
    consumer.flush()
    assert len(History(tmp_path, SCHEMA).events("watch")) == 9
    again = load_snapshot(tmp_path, SCHEMA, taken.name)
    assert again.frame("watch").equals(before)
    assert again.manifest == taken.manifest
    again.verify()
    assert snapshot(tmp_path).name != taken.name
    with pytest.raises(NotFound, match=taken.name):
        load_snapshot(tmp_path, SCHEMA, "nothing")


def test_a_changed_history_is_found_out(tmp_path: Path) -> None:
    taken = snapshot(stored(tmp_path, [watch(START)]))
    part = next((tmp_path / "parts" / "watch").glob("*.parquet"))
    pl.read_parquet(part).with_columns(minute=pl.lit(7, pl.Int64)).write_parquet(part)
    with pytest.raises(ArtifactCorrupt, match=taken.name):
        taken.verify()


def test_the_digest_sees_every_bit_of_every_column() -> None:
    base = {
        "a": [1, 2],
        "b": [0.5, None],
        "c": ["x", "y"],
        "d": [True, None],
        "e": [b"1" * 16, b"2" * 16],
        "f": [["p"], []],
    }
    frame = pl.DataFrame(base)
    digests = {digest_of(frame), digest_of(frame.head(1)), digest_of(frame.head(0))}
    assert digest_of(frame) == digest_of(frame.reverse())
    changes = {
        "a": [1, 3],
        "b": [0.5, 0.0],
        "c": ["x", ""],
        "d": [True, False],
        "e": [b"1" * 16, b"3" * 16],
        "f": [["p"], [""]],
    }
    for name, values in changes.items():
        digests.add(digest_of(frame.with_columns(pl.Series(name, values))))
    digests.add(digest_of(frame.with_columns(a=pl.Series([2, 1]))))  # values change places between rows
    assert len(digests) == 10


def test_the_digest_is_the_same_on_every_machine() -> None:
    frame = pl.DataFrame({"user": ["1"], "at": [7]})
    assert digest_of(frame) == digest_of(frame.select("at", "user")) == naive_digest([("1", 7)])
    assert digest_of(frame.rename({"user": "item"})) != digest_of(frame)


def naive_digest(rows: Sequence[tuple[str, int]]) -> str:
    """The definition, one number at a time."""
    from hashlib import blake2b

    mask = (1 << 64) - 1

    def mix(value: int) -> int:
        value = (value + 0x9E3779B97F4A7C15) & mask
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    def hashed(text: str) -> int:
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")

    sums = [0, 0]
    for word, number in rows:
        for lane, seed in enumerate((0x243F6A8885A308D3, 0x13198A2E03707344)):
            state = seed
            for name, value in (("at", number & mask), ("user", hashed(word))):
                state = mix(state ^ mix((value + hashed(name) + lane) & mask))
            sums[lane] = (sums[lane] + state) & mask
    return f"{sums[0]:016x}{sums[1]:016x}"


def test_reading_by_time(tmp_path: Path) -> None:
    folder = stored(tmp_path, [watch(START + at, START + 2 * at) for at in range(5)])
    history = History(folder, SCHEMA)
    assert history.events("watch", since_us=START + 3)["at"].to_list() == [START + 3, START + 4]
    assert history.events("watch", as_of_us=START + 4)["at"].to_list() == [START, START + 1, START + 2]
    assert history.events("watch", since_us=START + 9).height == 0
    assert history.counts() == {"watch": 5, "rate": 0, "joined": 0, "card": 0, "filmcard": 0}
    assert history.snapshot(START).types["watch"].rows == 1
    with pytest.raises(NotFound, match="event type"):
        history.events("nothing")


def test_export(tmp_path: Path) -> None:
    folder = stored(tmp_path, [APPLICATION.record("filmcard", START, film='a,"b', title="T", genres=["x", "y"])])
    history = History(folder, SCHEMA)
    assert export(history, "filmcard", tmp_path / "out.csv").rows == 1
    assert (tmp_path / "out.csv").read_text() == (
        'at,film,title,genres\n2020-09-13T12:26:40.000000Z,"a,""b",T,"[""x"",""y""]"\n'
    )
    assert export(history, "filmcard", tmp_path / "films.parquet", "parquet").rows == 1
    written = pl.read_parquet(tmp_path / "films.parquet")
    assert written["at"].to_list() == [datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)]
    assert written.with_columns(pl.col("at", "known_at").cast(pl.Int64)).equals(history.events("filmcard"))
    with pytest.raises(BadInput, match="one that exists"):
        export(history, "filmcard", tmp_path / "nowhere" / "films.csv")
    assert export(history, "filmcard", tmp_path / "none.csv", since_us=START + 1).rows == 0
    with pytest.raises(BadInput, match="csv, parquet"):
        export(history, "filmcard", tmp_path / "x", "xlsx")


def test_the_manifest_tells_lags_and_keeps_the_apply_delays_it_was_taken_with(tmp_path: Path) -> None:
    live = [watch(START + at, START + at + (7 if at == 99 else 2)) for at in range(100)]
    day_late = [watch(START - at, START - at + DAY) for at in range(1, 4)]
    imported = [msgspec.structs.replace(record, flags=IMPORTED) for record in day_late]
    folder = stored(tmp_path, [*live, *imported])
    delays = {"state": Delay(10, 1, 2)}
    taken = take_snapshot(folder, SCHEMA, START + 10**15, apply_delays=delays)
    lags = taken.types["watch"].lags
    assert lags.live == Delay(100, 2, 2)
    assert lags.declared == Delay(3, DAY, DAY)
    assert taken.types["rate"].lags.live is None
    assert (taken.apply_delay_us("state"), taken.apply_delay_us("features")) == (2, 0)
    again = take_snapshot(folder, SCHEMA, START + 10**15, apply_delays={"state": Delay(20, 5, 9)})
    assert (again.name, again.apply_delay_us("state")) == (taken.name, 2), "one name trains one version"
    assert load_snapshot(folder, SCHEMA, taken.name).apply_delay_us("state") == 2
    history = History(folder, SCHEMA)
    assert learned_lag(history) == learned_lag(history, "watch") == Delay(100, 2, 2)
    with pytest.raises(BadInput, match="100 live events"):
        learned_lag(history, "rate")
