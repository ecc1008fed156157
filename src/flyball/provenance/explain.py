"""Explains an answer: what it was made from, the contributions to it, and what followed."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.core import FlyballError, NotFound, format_duration, format_timestamp
from flyball.events import Record, partition, read_where
from flyball.outcomes import Followed, Prediction, find_prediction, followed, parts_of, response_of
from flyball.provenance.rebuild import Rebuilt, rebuild
from flyball.registry import Version
from flyball.runtime import Runtime
from flyball.tasks import DEFAULT_LEVEL, FALLBACK_LEVELS, DescribesDecisions, Pipeline, references

REASONS = 3
NEXT_EVENTS, NEXT_US = 50, 86_400_000_000


class Contribution(msgspec.Struct, frozen=True):
    """What a part of the context adds to a score: an item of the history (together they add up to the score), or a
    feature with its value."""

    name: str
    value: float


class ExplainedValue(msgspec.Struct, frozen=True):
    """One named value of the response. `because`: the largest contributions and the sum of all others."""

    name: str
    value: float
    because: list[Contribution]


class ExplainedItem(msgspec.Struct, frozen=True):
    """One item of the response. `because`: the largest contributions; `words`: the same as text; `title`: from its
    profile, "" without one; `team`: the version and arm that placed it in a drafted list, "" in any other."""

    item: str
    score: float
    source: str
    because: list[Contribution]
    words: str
    title: str = ""
    team: str = ""


class FollowUp(msgspec.Struct, frozen=True):
    """Equal events of the answer's key that followed it one after the other."""

    type: str
    fields: dict[str, Any]
    first_at_us: int
    last_at_us: int
    count: int


class Why(msgspec.Struct, frozen=True):
    """The explanation of one answer. `knowledge`: what the state held about the key, as text, "" where it read none.
    `notes`: what could not be determined, and why. `teams`: the versions whose lists it was drafted from, [] for an
    answer of one `version`. `decided_by`: the rule of its decision, where it is not the one for all requests."""

    prediction: Prediction
    version: Version | None
    knowledge: str
    items: list[ExplainedItem]
    values: list[ExplainedValue]
    followed: list[Followed]
    next: list[FollowUp]
    notes: list[str]
    teams: list[Version] = []
    decided_by: str = ""

    def text(self) -> str:
        """As text for people."""
        return "\n".join(
            [
                *_stamp_lines(self),
                "",
                *(_item_lines(self) or _value_lines(self) or _empty_lines(self)),
                *_decision_lines(self),
                "",
                *_after_lines(self),
                *self.notes,
            ]
        )


def why(runtime: Runtime, prediction_id: str, reasons: int = REASONS) -> Why:
    """Explain the answer `prediction_id`, with up to `reasons` contributions for each item; raises `NotFound`."""
    prediction = find_prediction(runtime.predictions, prediction_id)
    notes: list[str] = []
    because: list[list[Contribution]] = [[] for _ in prediction.items or prediction.values]
    versions, first, titles, decided_by = [], None, dict[str, str](), ""
    for part, positions in parts_of(prediction):
        versions.append(_version(runtime, part, notes))
        rebuilt = _rebuilt(runtime, part, notes)
        first = first or rebuilt
        titles |= {} if rebuilt is None else rebuilt.titles
        pipeline = _pipeline(part, versions[-1], rebuilt, notes)
        explained = _reasons(part, pipeline, rebuilt, reasons, notes)
        if rebuilt is not None and isinstance(pipeline, DescribesDecisions):
            decided_by = pipeline.decision_words(rebuilt.request)
        for position, contributions in zip(positions, explained, strict=True):
            because[position] = contributions
    return Why(
        prediction=prediction,
        version=versions[0] if not prediction.teams else None,
        teams=[known for known in versions if known is not None] if prediction.teams else [],
        knowledge="" if first is None else first.knowledge,
        items=_items(runtime, prediction, because, titles) if prediction.items else [],
        values=_values(runtime, prediction, because),
        followed=followed(runtime.outcomes_path, prediction),
        next=_next(runtime, prediction, notes),
        notes=notes,
        decided_by=decided_by,
    )


def _version(runtime: Runtime, prediction: Prediction, notes: list[str]) -> Version | None:
    if not prediction.version:
        return None
    try:
        return runtime.registry.version(prediction.version)
    except NotFound as error:
        notes.append(str(error))
        return None


def _rebuilt(runtime: Runtime, prediction: Prediction, notes: list[str]) -> Rebuilt | None:
    try:
        rebuilt = rebuild(runtime, prediction)
    except FlyballError as error:  # show what was recorded, whatever changed since
        notes.append(f"the state it read cannot be rebuilt: {error}")
        return None
    if rebuilt.contexts is None:
        notes.append("no state was read for this answer: it came from memory")
        return None
    return rebuilt


def _pipeline(
    prediction: Prediction, version: Version | None, rebuilt: Rebuilt | None, notes: list[str]
) -> Pipeline | None:
    """The version as it answered; None where none did, or where it cannot be loaded any more."""
    if version is None or rebuilt is None or rebuilt.contexts is None or prediction.level in FALLBACK_LEVELS:
        return None
    try:
        return rebuilt.load().pipeline
    except FlyballError as error:
        notes.append(f"the version cannot be loaded: {error}")
        return None


def _reasons(
    prediction: Prediction,
    pipeline: Pipeline | None,
    rebuilt: Rebuilt | None,
    most: int,
    notes: list[str],
) -> list[list[Contribution]]:
    """The largest contributions to each item, or to each value where there are no items; empty where the model has
    none."""
    none: list[list[Contribution]] = [[] for _ in prediction.items or prediction.values]
    if pipeline is None or rebuilt is None or rebuilt.contexts is None:
        return none
    try:
        added = pipeline.explain(rebuilt.request, rebuilt.contexts[0], response_of(prediction))
    except FlyballError as error:
        notes.append(str(error))
        return none
    shown = _strongest if prediction.items else _adding_up
    return [shown(contributions, most) for contributions in added]


def _values(runtime: Runtime, prediction: Prediction, reasons: list[list[Contribution]]) -> list[ExplainedValue]:
    names = [*runtime.value_names(prediction), *(f"value {index + 1}" for index in range(len(prediction.values)))]
    because = reasons if not prediction.items else [[] for _ in prediction.values]
    return [ExplainedValue(*row) for row in zip(names, prediction.values, because, strict=False)]


def _strongest(contributions: list[tuple[str, float]], most: int) -> list[Contribution]:
    ordered = sorted(contributions, key=lambda contribution: (-contribution[1], contribution[0]))[:most]
    return [Contribution(name, value) for name, value in ordered if value > 0]


def _adding_up(contributions: list[tuple[str, float]], most: int) -> list[Contribution]:
    """The contributions largest in absolute value, and the sum of the others: they add up to the value."""
    ordered = sorted(contributions, key=lambda contribution: (-abs(contribution[1]), contribution[0]))
    shown = [Contribution(name, value) for name, value in ordered[:most] if value]
    others = ordered[most:]
    return [*shown, Contribution(f"{len(others)} others", sum(value for _, value in others))] if others else shown


def _items(
    runtime: Runtime, prediction: Prediction, reasons: list[list[Contribution]], titles: Mapping[str, str]
) -> list[ExplainedItem]:
    why_there = runtime.app.task.about.sources
    teams, drafted = [f"{team.version} ({team.arm})" for team in prediction.teams], prediction.drafted
    rows = zip(prediction.items, prediction.scores, prediction.sources, reasons, strict=True)
    return [
        ExplainedItem(
            item,
            score,
            source,
            because,
            _reason_words(because, titles) or why_there.get(source, ""),
            titles.get(item, ""),
            teams[drafted[position]] if drafted else "",
        )
        for position, (item, score, source, because) in enumerate(rows)
    ]


def _reason_words(because: list[Contribution], titles: Mapping[str, str]) -> str:
    if not because:
        return ""
    return "because of " + ", ".join(f"{titles.get(part.name, part.name)} ({part.value:+.3g})" for part in because)


def _next(runtime: Runtime, prediction: Prediction, notes: list[str]) -> list[FollowUp]:
    """The log's events of the same key after the answer; consecutive equal ones are merged."""
    ends = runtime.log.ends()
    own = partition(prediction.key, len(ends))
    applied = prediction.offsets[own] if own < len(prediction.offsets) else 0
    window_us = (prediction.at_us, prediction.at_us + NEXT_US)
    follow_ups: list[FollowUp] = []
    for piece in read_where(runtime.log, own, applied, ends[own], at_us=window_us):
        for record in piece.records:
            _note_next(runtime, prediction, record, follow_ups)
        if len(follow_ups) >= NEXT_EVENTS:
            notes.append(f"of what came after, the first {len(follow_ups)} kinds of events in a row are shown")
            break
    return follow_ups


def _key_entity(runtime: Runtime) -> str:
    """The name of the entity that is the key of a request."""
    return next(iter(references(runtime.app.task.about.request).values()), "")


def _note_next(runtime: Runtime, prediction: Prediction, record: Record, follow_ups: list[FollowUp]) -> None:
    if record.key != prediction.key or record.type not in runtime.schema.types:
        return
    declared = runtime.schema.types[record.type]
    if declared.refs[0][1] != _key_entity(runtime) or declared.is_profile:
        return
    if not prediction.at_us <= record.at < prediction.at_us + NEXT_US:
        return
    event = runtime.schema.decode(record)
    about = {field: str(getattr(event, field)) for field, _ in declared.refs[1:]}
    fields = about or {field: getattr(event, field) for field in declared.fields if field != declared.key_field}
    others = {field: getattr(event, field) for field in declared.fields if field not in (*about, declared.key_field)}
    if (
        follow_ups
        and follow_ups[-1].type == record.type
        and about
        and all(follow_ups[-1].fields.get(f) == v for f, v in about.items())
    ):
        last = follow_ups[-1]
        follow_ups[-1] = FollowUp(last.type, {**fields, **others}, last.first_at_us, record.at, last.count + 1)
    else:
        follow_ups.append(FollowUp(record.type, {**fields, **others}, record.at, record.at, 1))


def _stamp_lines(why: Why) -> list[str]:
    p = why.prediction
    missed = f", since {p.assigned} did not answer ({p.failed})" if p.assigned and p.failed else ""
    lines = [
        f"answer {p.id}",
        f"at {format_timestamp(p.at_us)} for {_key_words(p)}, {_size(p)}, "
        f"in {p.took_us / 1_000:.1f} ms" + (f" by {p.worker}" if p.worker else ""),
        f"level {p.level}, arm {p.arm} with probability {p.propensity:g}, version {p.version or 'none'}{missed}",
    ]
    for version in why.teams or ([] if why.version is None else [why.version]):
        dirty = " with uncommitted changes" if version.code_dirty else ""
        lines += [
            f"{version.id}: {version.candidate}, learned {format_timestamp(version.created_us)} from snapshot "
            f"{version.snapshot} as of {format_timestamp(version.as_of_us)}",
            f"code {_code_text(version.code_commit)}{dirty}, dependencies {version.dependencies_hash[:12]}, "
            f"artifact {version.artifact}",
            *(f"own code {name} {digests['answers']}" for name, digests in version.code.items()),
        ]
    if p.offsets:
        stale = f", {format_duration(p.stale_us)} behind the log" if p.stale_us else ""
        knowledge = f": {why.knowledge}" if why.knowledge else ""
        lines.append(f"from events up to offsets {list(p.offsets)}{stale}{knowledge}")
    fields = ", ".join(
        f"{name} {_short(value)}" for name, value in p.request.items() if value not in ("", [], {}, None)
    )
    return [*lines, f"request: {fields}"]


def _code_text(commit: str) -> str:
    return "unknown (its file is in no git checkout)" if commit == "unknown" else commit


def _key_words(prediction: Prediction) -> str:
    """The key with the name of the request's field that holds it, such as "user 7"."""
    named = (f"{name} {value}" for name, value in prediction.request.items() if str(value) == prediction.key)
    return next(named, prediction.key)


def _item_lines(why: Why) -> list[str]:
    names = [f"{item.item}  {_short(item.title)}" if item.title else item.item for item in why.items]
    width = max(map(len, names), default=0)
    return [
        f"{rank:>3}  {name:<{width}}  {item.score:>10.4g}  {item.source:<10} {_team_words(item)}{item.words}".rstrip()
        for rank, (name, item) in enumerate(zip(names, why.items, strict=True), 1)
    ]


def _team_words(item: ExplainedItem) -> str:
    return f"drafted from {item.team} " if item.team else ""


def _value_lines(why: Why) -> list[str]:
    return [f"{value.name} {value.value:.6g}  {_reason_words(value.because, {})}".rstrip() for value in why.values]


def _empty_lines(why: Why) -> list[str]:
    return [] if why.prediction.decision else ["the response was empty"]


def _decision_lines(why: Why) -> list[str]:
    p = why.prediction
    if not p.decision:
        return []
    drawn = "" if p.decision_propensity == 1 else f", drawn with probability {p.decision_propensity:g}"
    default = ", the default, as no version answered" if p.level == DEFAULT_LEVEL else ""
    used_up = f", as the day had had {p.reviews_today} reviews, all that it may have" if p.capacity_used_up else ""
    rule = f", {why.decided_by}" if why.decided_by else ""
    return [f"decision {p.decision}{default}{rule}{drawn}{used_up}"]


def _size(prediction: Prediction) -> str:
    count = len(prediction.items) or len(prediction.values)
    if not count:
        return "nothing"
    return f"{count} {'item' if prediction.items else 'value'}{'' if count == 1 else 's'}"


def _after_lines(why: Why) -> list[str]:
    at = why.prediction.at_us
    lines = []
    for joined in why.followed:
        labels = "".join(f", {name}{'' if value == 1 else f' {value:g}'}" for name, value in joined.labels.items())
        events = ", ".join(f"{count} {kind}" for kind, count in sorted(joined.events.items()))
        lines.append(f"then{_about_item(joined)} after {_ago(joined.first_at_us - at)}: {events}{labels}")
    for follow_up in why.next:
        fields = ", ".join(
            f"{name} {_short(value)}" for name, value in follow_up.fields.items() if value not in ("", [], None)
        )
        times = f" ({follow_up.count} times)" if follow_up.count > 1 else ""
        lines.append(f"after {_ago(follow_up.first_at_us - at)}: {follow_up.type} {fields}{times}")
    return lines or [f"the log holds no event of {_key_words(why.prediction)} after it"]


def _about_item(followed: Followed) -> str:
    return f", of this list: {followed.item} (rank {followed.position + 1})" if followed.item else ""


def _short(value: object) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _ago(duration_us: int) -> str:
    return format_duration(max(0, duration_us) // 1_000_000 * 1_000_000)
