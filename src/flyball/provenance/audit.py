"""The audit of training/serving skew: recomputes the features of past answers from the log, and compares every bit.

It answers two separate questions. *Logic*: recomputed from the same events at the same timestamp, is every bit equal?
Any difference is an error in an engine or a store. *Freshness*: which events were known at the time of the request but
not applied yet, how often did they change a value, and how long had they been known?

Only the events that a window can see for the keys of the requests are read, from the history; what then differs is
recomputed from the log itself, which decides.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Ints, NotFound, Refused
from flyball.features import Group, Reading, Vectors
from flyball.outcomes import Prediction, parts_of, prediction_of, records_between, request_of_prediction
from flyball.provenance.audit_report import Audit, Difference, FeatureAudit
from flyball.provenance.log_features import Needed, events_about
from flyball.runtime import Runtime
from flyball.tasks import MODEL, Columns, FeatureRead, GroupKeys, coded_column, feature_columns

if TYPE_CHECKING:
    import polars

MOST, SHOWN = 5_000, 20

Bits = tuple[NDArray[np.int64], NDArray[np.uint8]]


class _Case(msgspec.Struct, frozen=True):
    prediction: Prediction
    read: FeatureRead
    columns: Columns
    keys: GroupKeys
    items: int


def audit(
    runtime: Runtime, since_us: int, target_us: int | None = None, most: int = MOST, from_log: bool = False
) -> Audit:
    """Audit the answers given since `since_us`, at most `most` of them, evenly chosen.

    `target_us`: of freshness, instead of what features declare. `from_log`: read the log alone, not the history.
    """
    groups = runtime.app.task.about.feature_groups
    records = records_between(runtime.predictions, since_us)
    predictions = [prediction for prediction in map(prediction_of, records) if prediction.reads]
    cases, skipped = _cases(runtime, predictions, most)
    targets = {
        definition.name: definition.feature.freshness_us if target_us is None else target_us
        for group in groups
        for definition in group.definitions
    }
    notes = [] if groups else [f"{runtime.app.name} declares no features"]
    examined = _examine(runtime, groups, cases, targets, from_log)
    if examined.wrong and not from_log:
        again = _examine(runtime, groups, cases, targets, from_log=True)
        if len(again.wrong) < len(examined.wrong):
            notes.append(
                f"{len(examined.wrong) - len(again.wrong):,} answers differ by the history and agree by the log: the "
                "history is not what the log holds; remove its manifest.json and it is written again"
            )
        examined = again
    features = [tally.feature_audit(name, targets[name]) for name, tally in examined.tallies.items()]
    return Audit(
        since_us=since_us,
        predictions=len(predictions),
        audited=len(cases),
        sampled=sum(bool(case.read.vectors) for case in cases),
        wrong=len(examined.wrong),
        differences=examined.differences[:SHOWN],
        features=features,
        fresh=all(feature.met for feature in features),
        skipped=skipped,
        notes=notes,
    )


class _Examination:
    """The recomputed values of the cases, and the differences."""

    def __init__(self) -> None:
        self.wrong, self.differences, self.tallies = set[str](), list[Difference](), dict[str, _Tally]()


def _examine(
    runtime: Runtime, groups: Sequence[Group], cases: "Sequence[_Case]", targets: dict[str, int], from_log: bool
) -> _Examination:
    examined = _Examination()
    if not cases:
        return examined
    keys: dict[str, set[tuple[str, ...]]] = {}
    for case in cases:
        for name, group_keys in case.keys.items():
            keys.setdefault(name, set()).update(group_keys)
    needed = Needed(groups, keys, min(case.read.at_us for case in cases))
    frames = events_about(runtime, needed, runtime.log.ends(), from_log)
    parts: list[dict[str, Vectors]] = [{} for _ in cases]
    for group in groups:
        reading_group = [index for index, case in enumerate(cases) if group.name in case.keys]
        if reading_group:
            _compute(group, frames, cases, reading_group, parts, examined.tallies, targets)
    for case, computed in zip(cases, parts, strict=True):
        differences = _compare(case, computed, examined.tallies)
        if differences:
            examined.wrong.add(case.prediction.id)
            examined.differences += differences[: SHOWN - len(examined.differences)]
    return examined


class _Tally:
    """Counts of one feature."""

    def __init__(self) -> None:
        self.values = self.wrong = self.looked = self.stale = self.late = 0
        self.lags: list[int] = []

    def feature_audit(self, name: str, target_us: int) -> FeatureAudit:
        lags = np.array(self.lags or [0])
        spread = {f"p{share}": int(np.percentile(lags, share, method="higher")) for share in (50, 90, 99)}
        lag_us = spread | {"max": int(lags.max())} if self.lags else {}
        beyond = self.looked - -(-self.looked * 99 // 100)  # the least of the slowest hundredth
        all_p99 = sorted(self.lags, reverse=True)[beyond] if beyond < len(self.lags) else 0
        return FeatureAudit(
            name, self.values, self.wrong, self.looked, self.stale, self.late, lag_us, target_us, all_p99
        )


def _cases(runtime: Runtime, predictions: Sequence[Prediction], most: int) -> tuple[list[_Case], dict[str, int]]:
    skipped: dict[str, int] = {}
    columns: dict[str, Columns | None] = {}
    request_type = runtime.app.task.about.request
    cases = []
    for prediction, items in (part for answer in predictions for part in _parts(answer)):
        if prediction.version not in columns:
            columns[prediction.version] = _columns(runtime, prediction.version)
        reads = columns[prediction.version]
        reason = "the version is not known, or reads what is no longer declared" if reads is None else ""
        if reads is not None and any(read.feature_set != reads.hash for read in prediction.reads):
            reason = "definitions of features have changed since"
        if reads is None or reason:
            skipped[reason] = skipped.get(reason, 0) + 1
            continue
        try:
            keys_of = reads.keys_of_request(request_of_prediction(prediction, request_type), items)
        except Refused:
            reason = "requests are declared otherwise now"
            skipped[reason] = skipped.get(reason, 0) + 1
            continue
        cases += [_Case(prediction, read, reads, keys_of, len(items)) for read in prediction.reads]
    if len(cases) > most:
        chosen = np.linspace(0, len(cases) - 1, most).astype(int)
        skipped["more than the audit was to look at"] = len(cases) - most
        cases = [cases[index] for index in chosen]
    return cases, skipped


def _parts(prediction: Prediction) -> list[tuple[Prediction, list[str]]]:
    """What each version of an answer read features for: (its part, what its model scored of its whole list)."""
    lists = [(team.items, team.sources) for team in prediction.teams] or [(prediction.items, prediction.sources)]
    return [
        (part, [item for item, source in zip(items, sources, strict=True) if source == MODEL])
        for (part, _), (items, sources) in zip(parts_of(prediction), lists, strict=True)
        if part.reads
    ]


def _columns(runtime: Runtime, version: str) -> Columns | None:
    """The columns that the version reads; None when it is not registered, or reads what is no longer declared."""
    try:
        return feature_columns(runtime.app.task, sorted(runtime.registry.version(version).features))
    except (NotFound, KeyError):
        return None


def _compute(
    group: Group,
    frames: "dict[str, polars.DataFrame]",
    cases: Sequence[_Case],
    case_rows: Sequence[int],
    parts: list[dict[str, Vectors]],
    tallies: dict[str, _Tally],
    targets: dict[str, int],
) -> None:
    """Add to `parts` the group's values at each answer's offsets, and count the values that all known events would have
    changed."""
    import polars as pl

    from flyball.features import point_in_time

    keys = [key for case_row in case_rows for key in cases[case_row].keys[group.name]]
    lengths = [len(cases[case_row].keys[group.name]) for case_row in case_rows]
    owners = np.repeat(np.array(case_rows), lengths)
    columns: dict[str, Any] = {
        name: pl.Series([key[index] for key in keys], dtype=pl.String) for index, name in enumerate(group.keys)
    }
    columns["at"] = pl.Series([cases[case_row].read.at_us for case_row in owners.tolist()], dtype=pl.Int64)
    offsets = [list(cases[case_row].read.offsets) for case_row in owners.tolist()]
    known = pl.DataFrame(columns)
    names = [definition.name for definition in group.definitions]
    applied = _bits(
        point_in_time([group], frames, known.with_columns(offsets=pl.Series(offsets, dtype=pl.List(pl.Int64)))), names
    )
    fully = _bits(point_in_time([group], frames, known), names)
    first = 0
    for case_row, length in zip(case_rows, lengths, strict=True):
        rows = slice(first, first + length)
        parts[case_row][group.name] = Vectors(tuple(names), keys[rows], applied[0][rows], applied[1][rows], {})
        first += length
    waiting = _Waiting(frames, [cases[case_row] for case_row in case_rows])
    other = (applied[0] != fully[0]) | (applied[1] != fully[1])
    for index, definition in enumerate(group.definitions):
        tally = tallies.setdefault(definition.name, _Tally())
        tally.looked += len(keys)
        for row in np.flatnonzero(other[:, index]).tolist():
            read = cases[int(owners[row])].read
            lag_us = max(
                (
                    waiting.lag_us(part.event.__name__.lower(), fields, keys[row], read)
                    for part, fields in definition.aggregates
                ),
                default=0,
            )
            tally.stale += 1
            tally.late += lag_us > targets[definition.name]
            tally.lags.append(lag_us)


def _bits(values: "polars.DataFrame", names: Sequence[str]) -> Bits:
    coded = [coded_column(values[name]) for name in names]
    return np.stack([bits for bits, _ in coded], axis=1), np.stack([tags for _, tags in coded], axis=1)


class _Waiting:
    """Events that were known when answers were made, but not applied yet."""

    def __init__(self, frames: "dict[str, polars.DataFrame]", cases: Sequence[_Case]) -> None:
        self._frames = frames
        offsets = [case.read.offsets for case in cases]
        self._first = (
            [min(partition_offsets) for partition_offsets in zip(*offsets, strict=True)]
            if len(set(map(len, offsets))) == 1
            else [0]
        )
        self._by_key: dict[tuple[str, tuple[str, ...]], dict[tuple[Any, ...], Ints]] = {}

    def lag_us(self, name: str, fields: tuple[str, ...], key: tuple[str, ...], read: FeatureRead) -> int:
        """How long the oldest event of the key that was not applied yet had been known, in microseconds."""
        first_unread = self._of(name, fields).get(key)
        if first_unread is None:
            return 0
        known_at, part, offset = first_unread
        applied = np.zeros(max(int(part.max()) + 1, len(read.offsets)), np.int64)
        applied[: len(read.offsets)] = read.offsets
        waiting = known_at[(known_at <= read.at_us) & (offset >= applied[part])]
        return read.at_us - int(waiting.min()) if len(waiting) else 0

    def _of(self, name: str, fields: tuple[str, ...]) -> dict[tuple[Any, ...], Ints]:
        """{key: its events beyond the offsets of the earliest answer}; columns known_at, partition, offset."""
        import polars as pl

        if (name, fields) not in self._by_key:
            kept: dict[tuple[Any, ...], Ints] = {}
            frame = self._frames.get(name)
            if frame is not None:
                first = pl.Series([*self._first, *[0] * (int(frame["partition"].max() or 0) + 1)])  # type: ignore[arg-type]
                later = frame.filter(pl.col("offset") >= pl.lit(first).gather(pl.col("partition")))
                texts = later.select(
                    *[pl.col(field).cast(pl.String) for field in dict.fromkeys(fields)],
                    "known_at",
                    "partition",
                    "offset",
                )
                for key, rows in texts.partition_by(*dict.fromkeys(fields), as_dict=True).items():
                    columns = rows.select("known_at", "partition", "offset").cast(pl.Int64).to_numpy()
                    kept[key] = np.ascontiguousarray(columns.T)
            self._by_key[name, fields] = kept
        return self._by_key[name, fields]


def _compare(case: _Case, computed: dict[str, Vectors], tallies: dict[str, _Tally]) -> list[Difference]:
    """The differences between an answer's record and the recomputed values."""
    prediction, read = case.prediction, case.read
    computed_reading = Reading(read.at_us, read.offsets, {name: computed[name] for name in case.keys})
    again = case.columns.of_items(computed_reading, range(case.items))
    differences = []
    for name, (bits, tags) in read.vectors.items():
        expected = again.groups[name]
        had_bits = np.frombuffer(bits, np.int64)
        had_tags = np.frombuffer(tags, np.uint8)
        if len(had_bits) != expected.bits.size or len(had_tags) != expected.tags.size:
            return [Difference(prediction.id, "", f"{name}: values of another shape", "", "")]
        had_bits, had_tags = (
            had_bits.reshape(expected.bits.shape),
            had_tags.reshape(expected.tags.shape),
        )
        for feature in expected.names:
            tallies[feature].values += len(expected.keys)
        for row, column in np.argwhere((had_bits != expected.bits) | (had_tags != expected.tags)).tolist():
            feature = expected.names[column]
            tallies[feature].wrong += 1
            differences.append(
                Difference(
                    prediction.id,
                    feature,
                    "/".join(expected.keys[row]),
                    shown_bits(int(had_bits[row, column]), int(had_tags[row, column])),
                    shown_bits(int(expected.bits[row, column]), int(expected.tags[row, column])),
                )
            )
    if not differences and again.digest != read.digest:
        about = f"request of {prediction.key}; only the digest is on record"
        differences.append(Difference(prediction.id, "", about, f"{read.digest:016x}", f"{again.digest:016x}"))
    return differences


def shown_bits(bits: int, tag: int) -> str:
    """A value as text: the number and its 64 bits.

    >>> shown_bits(3, 1), shown_bits(0, 0)
    ('3 (0000000000000003)', 'missing')
    """
    if tag == 0:
        return "missing"
    raw = f"{bits & (1 << 64) - 1:016x}"
    if tag == 2:
        return f"{float(np.int64(bits).view(np.float64))!r} ({raw})"
    return f"{bits} ({raw})" if tag in (1, 3) else f"text or list ({raw})"
