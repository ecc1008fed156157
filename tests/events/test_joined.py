"""Joined event types: declared, joined while reading and over frames, against a naive join of all pairs."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball as fb
from flyball.core import BadDeclaration, ManualClock
from flyball.events import (
    IMPORTED,
    LATE_US,
    Event,
    Joiner,
    Offsets,
    Record,
    Schema,
    Slice,
    join_of,
    logged_types,
    partition,
)
from flyball.features import FeatureConsumer, FeatureReader, point_in_time
from flyball.features import rebuild as rebuild_features
from flyball.history import join_frames, with_joined
from flyball.stores import MemoryStore

Card = Annotated[int, fb.Ref("card")]
Terminal = Annotated[int, fb.Ref("terminal")]
Tx = Annotated[int, fb.Ref("tx")]

DAY_US = 86_400_000_000
START_US = 1_770_000_000_000_000
WITHIN_US = 3 * DAY_US
PARTITIONS = 2


class Transaction(fb.Event):
    card: Card
    terminal: Terminal
    tx: Tx
    amount: Annotated[float, fb.real(scale=0.01)] = 0.0
    tags: list[str] = []


class Chargeback(fb.Event):
    bank: Annotated[str, fb.Ref("bank")]
    payment: Tx | None = None
    reason: str = "?"


Fraud = fb.joined("Fraud", Transaction, Chargeback, by="tx", within="3d")
Dispute = fb.joined("Dispute", Transaction, Chargeback, by="tx", within="3d", at="second")
SCHEMA = Schema([Transaction, Chargeback, Fraud, Dispute])
Log = list[list[Record]]


def transaction(at: int, tx: int, card: int = 1, terminal: int = 1, known: int = 0, amount: float = 1.0) -> Record:
    fields = {"card": card, "terminal": terminal, "tx": tx, "amount": amount}
    return SCHEMA.check("transaction", fields, at, at + known)


def chargeback(at: int, tx: int | None, known: int = 0, reason: str = "?") -> Record:
    return SCHEMA.check("chargeback", {"bank": "b", "payment": tx, "reason": reason}, at, at + known)


edges = [0, 1, WITHIN_US - 1, WITHIN_US, WITHIN_US + 1, DAY_US, -1]
times = st.one_of(st.sampled_from([START_US + edge for edge in edges]), st.integers(START_US, START_US + 5 * DAY_US))
lags = st.sampled_from([0, 0, 1, DAY_US, LATE_US, LATE_US + WITHIN_US, LATE_US + WITHIN_US + 1])
records = st.lists(
    st.one_of(
        st.builds(transaction, times, st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), lags),
        st.builds(chargeback, times, st.sampled_from([1, 2, 3, None]), lags, st.sampled_from("ab")),
    ),
    max_size=16,
    unique_by=lambda record: record.id,
)


class ListLog:
    """A log that lies in a list."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        pieces = [
            Slice(n, low, part[low : low + limit]) for n, (low, part) in enumerate(zip(after, self.log, strict=True))
        ]
        return [piece for piece in pieces if piece.records]

    def ends(self) -> Offsets:
        return tuple(len(part) for part in self.log)


def partitioned(came: Iterable[Record]) -> Log:
    log: Log = [[] for _ in range(PARTITIONS)]
    for record in came:
        log[partition(record.key, PARTITIONS)].append(record)
    return log


def naive(log: Log, name: str) -> list[tuple[Any, ...]]:
    """(fields, at, known_at) of every pair, sorted."""
    events = [(SCHEMA.decode(record), record.known_at) for part in log for record in part]
    made = []
    for first, first_known in events:
        for second, second_known in events:
            if not (isinstance(first, Transaction) and isinstance(second, Chargeback) and first.tx == second.payment):
                continue
            known = max(first_known, second_known)
            if 0 <= second.at - first.at <= WITHIN_US and known <= first.at + WITHIN_US + LATE_US:
                fields = (
                    first.card,
                    first.terminal,
                    first.tx,
                    first.amount,
                    tuple(first.tags),
                    second.bank,
                    second.payment,
                    second.reason,
                    second.at - first.at,
                )
                made.append((fields, first.at if name == "fraud" else second.at, known))
    return sorted(made, key=repr)


def joined_online(
    log: Log, name: str, cuts: Sequence[Sequence[int]], ahead: bool = False
) -> tuple[list[tuple[Any, ...]], MemoryStore]:
    """What the joiner makes over batches that end at `cuts`, with a restart before each; `ahead`: the store's offsets
    are moved before the batch is joined, in the same transaction."""
    store, made, offsets = MemoryStore(), [], (0,) * PARTITIONS
    for ends in [*cuts, [len(part) for part in log]]:
        joiner = Joiner(SCHEMA, [name], ListLog(log))
        batch: dict[str, list[tuple[Record, int, int]]] = {}
        for number, (low, high) in enumerate(zip(offsets, ends, strict=True)):
            for offset in range(low, high):
                record = log[number][offset]
                batch.setdefault(record.type, []).append((record, offset, number))
        if ahead:
            store.write({}, tuple(ends))
        pairs, changes = joiner.apply(batch, store)
        offsets = tuple(ends)
        store.write(changes, offsets)
        made += pairs.get(name, [])
    return sorted(
        ((_fields(SCHEMA.decode(record)), record.at, record.known_at) for record, _, _ in made), key=repr
    ), store


def _fields(event: Event) -> tuple[Any, ...]:
    return tuple(_hashable(getattr(event, name)) for name in event.__struct_fields__ if name != "at")


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def frames_of(log: Log) -> dict[str, pl.DataFrame]:
    frames = {}
    for name, declared in SCHEMA.types.items():
        rows = [
            {
                **{field: getattr(SCHEMA.decode(record), field) for field in declared.fields},
                "at": record.at,
                "known_at": record.known_at,
                "partition": number,
                "offset": offset,
            }
            for number, part in enumerate(log)
            for offset, record in enumerate(part)
            if record.type == name
        ]
        kinds = {"bank": pl.String, "payment": pl.Int64, "reason": pl.String, "tags": pl.List(pl.String)}
        meta = dict.fromkeys(("at", "known_at", "partition", "offset"), pl.Int64)
        fields = {field: kinds.get(field, pl.Float64 if field == "amount" else pl.Int64) for field in declared.fields}
        frames[name] = pl.DataFrame(rows, schema={**fields, **meta})
    return frames


@st.composite
def cut(draw: st.DrawFn, log: Log) -> list[list[int]]:
    found, at = [], [0] * PARTITIONS
    for _ in range(draw(st.integers(0, 4))):
        at = [draw(st.integers(low, len(part))) for low, part in zip(at, log, strict=True)]
        found.append(at)
    return found


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(["fraud", "dispute"]))
def test_online_and_offline_join_every_pair_whatever_came_first(data: st.DataObject, name: str) -> None:
    log = partitioned(data.draw(records))
    expected = naive(log, name)
    assert joined_online(log, name, data.draw(cut(log)))[0] == expected
    event = SCHEMA.joined[name].cls
    frame = join_frames(event, *[frames_of(log)[side] for side in ("transaction", "chargeback")])
    fields = list(SCHEMA.joined[name].fields)
    rows = [
        (tuple(_hashable(row[field]) for field in fields), row["at"], row["known_at"])
        for row in frame.iter_rows(named=True)
    ]
    assert sorted(rows, key=repr) == expected


def test_the_edges_of_the_span() -> None:
    for apart, lag, joins in (
        (0, 0, 1),
        (WITHIN_US, 0, 1),
        (WITHIN_US + 1, 0, 0),
        (-1, 0, 0),
        (WITHIN_US, LATE_US, 1),
        (WITHIN_US, LATE_US + 1, 0),
    ):
        log = partitioned([chargeback(START_US + apart, 7, lag), transaction(START_US, 7)])
        assert len(joined_online(log, "fraud", [])[0]) == len(naive(log, "fraud")) == joins


def test_what_can_wait_no_more_is_dropped_once_every_partition_is_past_it() -> None:
    log: Log = [[], []]
    log[0] = [transaction(START_US + day * DAY_US, tx=day) for day in range(60)]
    _, store = joined_online(log, "fraud", [[day, 0] for day in range(1, 60)])
    waiting = [key for key, _ in store.scan(b"") if b"/p/" in key]
    assert len(waiting) == 60, "the other partition may still bring older events"
    log[1] = [chargeback(START_US + day * DAY_US, tx=None) for day in range(60)]
    _, store = joined_online(log, "fraud", [[day, day] for day in range(1, 60)])
    waiting = [key for key, _ in store.scan(b"") if b"/p/" in key]
    noted = [key for key, _ in store.scan(b"") if b"/x/" in key]
    assert len(waiting) == len(noted) == pytest.approx((WITHIN_US + LATE_US) / DAY_US, abs=2)


def history(days: int) -> tuple[list[Record], list[Record]]:
    """Two files, of transactions and of chargebacks a day later, each in the order of time."""
    fields = {"card": 1, "terminal": 1}
    ats = [START_US + day * DAY_US for day in range(days)]
    check = SCHEMA.check
    return (
        [check("transaction", fields | {"card": day, "tx": day}, at, at, flags=IMPORTED) for day, at in enumerate(ats)],
        [
            check("chargeback", {"bank": f"b{day % 5}", "payment": day}, at + DAY_US, at + DAY_US, flags=IMPORTED)
            for day, at in enumerate(ats)
        ],
    )


@pytest.mark.parametrize("name", ["fraud", "dispute"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first before second", "second before first"])
@pytest.mark.parametrize("batch", [1, 7, 50, 1000])
def test_history_joins_though_its_sides_came_as_two_files(name: str, order: tuple[int, int], batch: int) -> None:
    """280 days of one side, then those of the other; read between the two files, at once, and in batches."""
    files = history(280)
    one, other = partitioned(files[order[0]]), partitioned(files[order[1]])
    log = [early + late for early, late in zip(one, other, strict=True)]
    between = [len(part) for part in one]
    steps = range(batch, max(map(len, log)), batch)
    for cuts in ([between], [[min(step, len(part)) for part in log] for step in steps]):
        made, store = joined_online(log, name, cuts)
        assert made == naive(log, name)
        assert len(made) == 280
        frames = frames_of(log)
        assert join_frames(SCHEMA.joined[name].cls, frames["transaction"], frames["chargeback"]).height == 280
    again = [[min(len(part), low + step) for low, part in zip(between, log, strict=True)] for step in range(0, 280, 5)]
    _, store = joined_online(log, name, again)
    assert len([key for key, _ in store.scan(b"") if b"/p/" in key]) < 60, "what both sides have passed is gone"


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["fraud", "dispute"]))
def test_history_joins_as_offline_in_a_log_that_takes_live_events(data: st.DataObject, name: str) -> None:
    """Live pairs of any order among two files of years before, whichever came first; restarts anywhere."""
    files = list(history(40))
    if data.draw(st.booleans()):
        files.reverse()
    now_us = START_US + 400 * DAY_US
    came: list[Record] = []
    for file in (*files, []):
        days = data.draw(st.lists(st.integers(0, 3 * DAY_US), max_size=30))
        for number, late_us in enumerate(sorted(days)):
            at, tx = now_us + late_us, 1000 + number
            made = [transaction(at, tx, card=tx), chargeback(at, tx, 1)]
            came += data.draw(st.permutations(made))
        now_us += 3 * DAY_US
        came += file
    log = partitioned(came)
    frames = frames_of(log)
    expected = naive(log, name)
    assert joined_online(log, name, data.draw(cut(log)))[0] == expected
    assert join_frames(SCHEMA.joined[name].cls, frames["transaction"], frames["chargeback"]).height == len(expected)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first before second", "second before first"])
def test_history_imported_into_a_home_that_takes_live_events_joins_whole(order: tuple[int, int]) -> None:
    files = history(280)
    live = [transaction(START_US + 400 * DAY_US + n, tx=10_000 + n, card=n) for n in range(64)]
    log = partitioned([*live, *files[order[0]], *files[order[1]]])
    made, _ = joined_online(log, "fraud", [[min(step, len(part)) for part in log] for step in range(1, 400, 9)])
    assert len(made) == 280
    assert made == naive(log, "fraud")


@pytest.mark.parametrize("silent", ["transaction", "chargeback"])
def test_a_side_that_stays_silent_holds_nothing_for_ever(silent: str) -> None:
    """Live events tell the time: what came live or as history before them waits no longer than it may."""
    past = history(100)[silent == "transaction"]
    days = range(100, 400)
    if silent == "chargeback":
        live = [transaction(START_US + day * DAY_US, tx=day, card=day) for day in days]
    else:
        live = [
            SCHEMA.check("chargeback", {"bank": f"b{day % 5}", "payment": day}, at, at)
            for day in days
            for at in [START_US + day * DAY_US]
        ]
    log = partitioned([*past, *live])
    assert all(log)
    _, store = joined_online(log, "fraud", [[min(step, len(part)) for part in log] for step in range(0, 400, 2)])
    waiting = [key for key, _ in store.scan(b"") if b"/p/" in key]
    noted = [key for key, _ in store.scan(b"") if b"/x/" in key]
    assert len(waiting) == len(noted)
    assert 0 < len(waiting) <= 4 * (WITHIN_US + LATE_US) / DAY_US


@st.composite
def arrivals(draw: st.DrawFn) -> list[Record]:
    """Live events of both sides over two months, and imports of what the other side of some of them was, whenever."""
    now_us, came = START_US, list[Record]()
    for number in range(draw(st.integers(5, 40))):
        now_us += draw(st.sampled_from([DAY_US, 3 * DAY_US]))
        side = draw(st.sampled_from(["transaction", "chargeback"]))
        came.append(one_side(side, number, now_us, now_us, number))
        for _ in range(draw(st.integers(0, 1))):
            of = draw(st.sampled_from(came))
            apart_us = draw(st.sampled_from([0, 1, DAY_US, WITHIN_US, WITHIN_US + 1]))
            of_first = of.type == "transaction"
            at, tx = of.at + (apart_us if of_first else -apart_us), tx_of(of)
            came.append(one_side("chargeback" if of_first else "transaction", tx, at, at, number, IMPORTED))
    return list({record.id: record for record in came}.values())


def one_side(side: str, tx: int, at: int, known_at: int, number: int, flags: int = 0) -> Record:
    if side == "transaction":
        fields: dict[str, Any] = {"card": 1 + number % 2, "terminal": 1, "tx": tx, "amount": float(number)}
    else:
        fields = {"bank": f"b{number % 5}", "payment": tx, "reason": str(number)}
    return SCHEMA.check(side, fields, at, known_at, flags=flags)


def tx_of(record: Record) -> int:
    event: Any = SCHEMA.decode(record)
    return int(event.tx if record.type == "transaction" else event.payment)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(["fraud", "dispute"]))
def test_every_pair_is_joined_whenever_either_side_is_imported(data: st.DataObject, name: str) -> None:
    """What has expired is found in the log, once, over restarts anywhere."""
    log = partitioned(data.draw(arrivals()))
    expected = naive(log, name)
    cuts, ahead = data.draw(cut(log)), data.draw(st.booleans())
    assert joined_online(log, name, cuts, ahead)[0] == expected
    each = [[min(step, len(part)) for part in log] for step in range(1, max(map(len, log), default=0))]
    assert joined_online(log, name, each, ahead)[0] == expected


def live_then_imported() -> Log:
    """A live payment; a month of live payments after it; then a chargeback of the first one, imported."""
    paid = [transaction(START_US + day * DAY_US, tx=day, card=1 + day % 8) for day in range(31)]
    fields = {"bank": "b", "payment": 0}
    late = SCHEMA.check("chargeback", fields, START_US + DAY_US, START_US + DAY_US, flags=IMPORTED)
    return partitioned([*paid, late])


def test_a_chargeback_imported_after_its_payment_expired_is_joined() -> None:
    log = live_then_imported()
    assert all(log)
    cuts = [[min(step, len(part)) for part in log] for step in range(1, 31)]
    before = [len(part) - any(record.type == "chargeback" for record in part) for part in log]
    cuts = [[min(pair) for pair in zip(ends, before, strict=True)] for ends in cuts] + [before]
    _, store = joined_online([part[:end] for part, end in zip(log, before, strict=True)], "fraud", cuts)
    assert not any(b"/p/" in key and key.endswith(b"\x000") for key, _ in store.scan(b"")), "it waits no more"
    made, _ = joined_online(log, "fraud", cuts)
    assert len(made) == 1
    assert made == naive(log, "fraud")


# terminal risk: what share of a terminal's transactions were frauds, as known; and the cards' disputes by their time
TERMINAL = fb.Entity(
    "terminal",
    risk=fb.ratio(fb.count(Fraud, "30d"), fb.count(Transaction, "30d")),
    lost=fb.sum(Fraud, lambda f: f.amount, "30d"),
    slow=fb.max(Fraud, lambda f: f.elapsed_us, "30d"),
)
CARD = fb.Entity("card", disputes=fb.count(Dispute, "30d"), reason=fb.last(Dispute, lambda d: d.reason, "30d"))


def applied(log: Log, cuts: Sequence[Sequence[int]], store: MemoryStore, groups: Sequence[Any]) -> FeatureConsumer:
    consumer = FeatureConsumer(SCHEMA, groups, store, partitions=PARTITIONS, log=ListLog(log))
    bounds = [[0] * PARTITIONS, *cuts, [len(part) for part in log]]
    for low, high in pairwise(bounds):
        consumer = FeatureConsumer(SCHEMA, groups, store, partitions=PARTITIONS, log=ListLog(log))  # a restart
        consumer.apply([Slice(n, low[n], log[n][low[n] : high[n]]) for n in range(PARTITIONS) if high[n] > low[n]])
    return consumer


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_features_of_joined_events_agree_online_and_offline(data: st.DataObject) -> None:
    came = [record for record in data.draw(records) if record.known_at <= START_US + 25 * DAY_US]
    log = partitioned(came)
    store = MemoryStore()
    applied(log, data.draw(cut(log)), store, [TERMINAL, CARD])
    at_us = START_US + 26 * DAY_US
    ends = [[len(part) for part in log]] * 2
    rows = pl.DataFrame({"terminal": [1, 2], "card": [1, 2], "at": [at_us, at_us], "offsets": ends})
    offline = point_in_time([TERMINAL, CARD], frames_of(log), rows)
    frauds, disputes = naive(log, "fraud"), naive(log, "dispute")
    for key in (1, 2):
        row = offline.row(key - 1, named=True)
        bought = [r for part in log for r in part if r.type == "transaction" and SCHEMA.decode(r).terminal == key]  # type: ignore[attr-defined]
        mine = [fields for fields, _, _ in frauds if fields[1] == key]
        assert row["terminal.risk"] == (len(mine) / len(bought) if bought else None)
        assert (row["terminal.slow"] or 0) == max((fields[8] for fields in mine), default=0)
        assert (row["card.disputes"] or 0) == sum(fields[0] == key for fields, _, _ in disputes)
        online = online_row(store, key, at_us)
        assert online == {name: row[name] for name in online}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_features_agree_online_and_offline_whenever_either_side_is_imported(data: st.DataObject) -> None:
    log = partitioned(data.draw(arrivals()))
    store = MemoryStore()
    each = [[min(step, len(part)) for part in log] for step in range(1, max(map(len, log)))]
    applied(log, data.draw(st.sampled_from([each, []])), store, [TERMINAL, CARD])
    at_us = max(record.known_at for part in log for record in part) + 1
    ends = [[len(part) for part in log]] * 2
    rows = pl.DataFrame({"terminal": [1, 1], "card": [1, 2], "at": [at_us, at_us], "offsets": ends})
    offline = point_in_time([TERMINAL, CARD], frames_of(log), rows)
    rebuilt = MemoryStore()
    applied(log, [], rebuilt, [TERMINAL, CARD])
    for group in (TERMINAL, CARD):
        rebuild_features(ListLog(log), SCHEMA, group, rebuilt, clock=ManualClock(at_us))  # type: ignore[arg-type]
    row = offline.row(0, named=True)
    for kept in (store, rebuilt):
        online = online_row(kept, 1, at_us)
        assert online == {name: row[name] for name in online}


def online_row(store: MemoryStore, key: int, at_us: int) -> dict[str, Any]:
    asked = {"terminal": [str(key)], "card": [str(key)]}
    reading = FeatureReader([TERMINAL, CARD], store).read(asked, at_us)
    return {
        name: value
        for vectors in reading.groups.values()
        for name, value in zip(vectors.names, vectors.row(0), strict=True)
    }


def test_rows_that_see_by_offsets_see_a_joined_event_once_they_have_seen_both_sides() -> None:
    log: Log = [[], []]
    log[0] = [transaction(START_US, 7), transaction(START_US + 1, 8)]
    log[1] = [chargeback(START_US + 2, 8), chargeback(START_US + 3, 7)]
    offsets = [[0, 0], [2, 0], [0, 2], [2, 1], [2, 2], [1, 2]]
    rows = pl.DataFrame({"terminal": [1] * 6, "at": [START_US + DAY_US] * 6, "offsets": offsets})
    risk = point_in_time([fb.Entity("terminal", frauds=fb.count(Fraud, "30d"))], frames_of(log), rows)
    assert risk["terminal.frauds"].fill_null(0).to_list() == [0, 0, 0, 1, 2, 1]


def test_a_rebuilt_group_knows_what_was_waiting(tmp_path: Path) -> None:
    """A feature over a joined type declared later: events of before the rebuild join those of after it."""
    log: Log = [[transaction(START_US, 7)], []]
    store = MemoryStore()
    only_card = fb.Entity("terminal", all=fb.count(Transaction, "30d"))
    consumer = FeatureConsumer(SCHEMA, [only_card], store, partitions=PARTITIONS)
    consumer.apply([Slice(0, 0, log[0])])
    later = FeatureConsumer(SCHEMA, [only_card, CARD], store, partitions=PARTITIONS)
    assert later.unready() == ["card"]
    rebuild_features(ListLog(log), SCHEMA, CARD, store, clock=ManualClock(START_US + DAY_US))
    again = FeatureConsumer(SCHEMA, [only_card, CARD], store, partitions=PARTITIONS)
    assert again.unready() == []
    again.apply([Slice(1, 0, [chargeback(START_US + 5, 7)])])
    whole = MemoryStore()
    both = FeatureConsumer(SCHEMA, [only_card, CARD], whole, partitions=PARTITIONS)
    both.apply([Slice(0, 0, log[0]), Slice(1, 0, [chargeback(START_US + 5, 7)])])
    assert dict(store.scan(b"f/")) == dict(whole.scan(b"f/"))


def test_a_changed_span_is_another_feature() -> None:
    longer = fb.joined("Fraud", Transaction, Chargeback, by="tx", within="4d")
    (one,), (other,) = (fb.Entity("card", n=fb.count(event, "30d")).features.definitions for event in (Fraud, longer))
    assert one.hash != other.hash


def test_a_joined_type_says_what_it_is_made_of() -> None:
    join = join_of(Fraud)
    assert join is not None
    assert (join.first_key, join.second_key, join.within_us, join.at) == ("tx", "payment", WITHIN_US, "first")
    assert logged_types([Fraud, Chargeback]) == (Transaction, Chargeback)
    assert set(SCHEMA.types) == {"transaction", "chargeback"}
    assert SCHEMA.joined["fraud"].fields == (
        "card",
        "terminal",
        "tx",
        "amount",
        "tags",
        "bank",
        "payment",
        "reason",
        "elapsed_us",
    )
    frames = with_joined(
        frames_of(partitioned([transaction(START_US, 1), chargeback(START_US, 1)])),
        [declared.cls for declared in SCHEMA.joined.values()],
    )
    assert (frames["fraud"].height, frames["dispute"].height) == (1, 1)


def test_it_is_never_ingested() -> None:
    from flyball.events import Rejected

    with pytest.raises(Rejected, match="must be one of transaction, chargeback"):
        SCHEMA.check("fraud", {"card": 1, "terminal": 1, "tx": 1, "bank": "b", "elapsed_us": 1}, START_US, START_US)


class Viewer(fb.Profile):
    card: Card


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fb.joined("Fraud", Transaction, Viewer, by="card", within="1d"), "neither a profile"),
        (lambda: fb.joined("Fraud", Transaction, Fraud, by="tx", within="1d"), "nor joined itself"),
        (lambda: fb.joined("Fraud", Transaction, Transaction, by="tx", within="1d"), "two different ones"),
        (lambda: fb.joined("Fraud", Transaction, Chargeback, by="nobody", within="1d"), "by of joined.*nobody"),
        (lambda: fb.joined("no name", Transaction, Chargeback, by="tx", within="1d"), "name of the new type"),
        (lambda: fb.joined("Fraud", Transaction, Chargeback, by="tx", within="1d", at="third"), "first.*or.*second"),  # type: ignore[arg-type]
        (
            lambda: Schema([Transaction, Fraud]),
            "joined type Fraud must be of two event types that are declared, too, got 'Chargeback'",
        ),
    ],
    ids=["profile", "joined", "same", "by", "name", "at", "undeclared"],
)
def test_mistakes_are_refused_with_what_must_be(make: Any, message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        make()


class Sent(fb.Event):
    parcel: Annotated[int, fb.Ref("parcel"), fb.renamed("order")]
    note: Annotated[str, fb.renamed("text")] = ""
    weight: Annotated[float, fb.renamed("elapsed_us", "at_door"), fb.real(0.0)] = 0.0


class Arrived(fb.Event):
    order: Annotated[int, fb.Ref("parcel")]
    text: str = ""
    at_door: Annotated[bool, fb.renamed("note")] = True


@pytest.mark.parametrize("sides", [(Sent, Arrived), (Arrived, Sent)])
def test_renames_of_the_sides_are_none_of_the_joined_type(sides: tuple[type[Event], type[Event]]) -> None:
    """Former names of one side may be names that the other, or the joined type, has now."""
    schema = Schema([*sides, fb.joined("Delivery", *sides, by="parcel", within="1d")])
    made = schema.joined["delivery"]
    assert set(made.fields) == {"parcel", "note", "weight", "order", "text", "at_door", "elapsed_us"}
    assert all(field.former == () for field in made.declared)
    assert dict(made.refs) == {"parcel": "parcel", "order": "parcel"}
    records = {
        "sent": [(schema.check("sent", {"parcel": 3, "note": "n"}, START_US, START_US), 0, 0)],
        "arrived": [(schema.check("arrived", {"order": 3, "text": "t"}, START_US, START_US), 0, 1)],
    }
    ((record, _, _),) = Joiner(schema, ["delivery"]).apply(records, MemoryStore())[0]["delivery"]
    event = schema.decode(record)
    assert [getattr(event, name) for name in ("parcel", "note", "order", "text")] == [3, "n", 3, "t"]
