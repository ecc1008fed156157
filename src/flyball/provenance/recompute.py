"""Recomputes an answer and compares every bit."""

import struct
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import msgspec

from flyball.core import FlyballError, Refused
from flyball.events import Offsets
from flyball.outcomes import Prediction, find_prediction, parts_of, response_of
from flyball.provenance.rebuild import Rebuilt, rebuild
from flyball.releases import Release, ReleaseArm, ReleaseState
from flyball.runtime import Runtime
from flyball.serving import Engine, Serving
from flyball.tasks import DEFAULT_LEVEL, FALLBACK_LEVELS, FeatureRead, RankedItem, Request

WHY_NOT = (
    "what may be the reason: another kind of processor, or other versions of libraries, than those that answered (then "
    "only the last digits of scores differ): replay it there; a store that was restored from a backup of another time: "
    "flyball features audit compares its features with the log; else it is an error in Flyball: report it with these "
    "lines"
)
"""What to do about an answer that is another one when it is computed again."""


class Replay(msgspec.Struct, frozen=True):
    """The result of recomputing an answer.

    `identical`: every item, source and bit of every score is equal. `replayable`: it could be recomputed at all.
    `differences`: one line each. `notes`: further remarks.
    """

    id: str
    version: str
    level: str
    identical: bool
    replayable: bool
    differences: list[str]
    notes: list[str]

    def text(self) -> str:
        """As text for people."""
        if not self.replayable:
            return "\n".join([f"{self.id} cannot be replayed", *self.notes])
        origin = f"by {self.version}" if self.version else "without a version"
        head = f"{self.id} ({self.level}, {origin}): " + (
            "identical, bit for bit" if self.identical else f"NOT identical, {len(self.differences)} differences"
        )
        reasons = [] if self.identical else [WHY_NOT]
        return "\n".join([head, *self.differences, *self.notes, *reasons])


def replay(runtime: Runtime, prediction_id: str) -> Replay:
    """Rebuild the state that the answer was made from, and answer again with the serving engine.

    Raises `NotFound` for an unknown id. What cannot be rebuilt is reported, never guessed.
    """
    prediction = find_prediction(runtime.predictions, prediction_id)
    try:
        again, notes = _again(runtime, prediction)
    except FlyballError as error:  # report what cannot be rebuilt, instead of guessing
        return _result(prediction, None, [str(error)])
    return _result(prediction, again, notes)


def recomputed(runtime: Runtime, prediction: Prediction) -> Prediction:
    """The answer computed again from the log, the registry and the artifacts of `runtime`.

    Raises what says why it cannot be, such as `Refused` or `NotFound`.
    """
    return _again(runtime, prediction)[0]


def answer_by(runtime: Runtime, prediction: Prediction, version: str) -> Prediction:
    """The answer of `version`, with its own arrangement, to the same request from the same state.

    Raises `NotFound` for another version, `Refused` where it cannot be computed.
    """
    changed = {
        "version": version,
        "arrangement": 0,
        "level": "chosen",
        "arm": "",
        "interval": None,
        "teams": (),
        "drafted": [],
    }
    again, _ = _again(runtime, msgspec.structs.replace(prediction, **changed))
    return again


def _again(runtime: Runtime, prediction: Prediction) -> tuple[Prediction, list[str]]:
    by_version = prediction.level not in FALLBACK_LEVELS
    parts = [(part, rebuild(runtime, part)) for part, _ in parts_of(prediction)]
    part, rebuilt = parts[0]
    ranks = bool(runtime.app.task.about.items)
    if any(known.contexts is None and ranks and not prediction.catalog for _, known in parts):
        raise Refused(
            "it is stamped with no offsets: what it was made from lay in memory and changed while it was read"
        )
    failures: list[str] = []
    engine = Engine(
        lambda requests: _contexts(part, rebuilt),
        lambda kind, subject, why: failures.append(f"{subject}: {why}"),
        _by_versions(prediction, parts) if by_version else _by_fallback(prediction, rebuilt),
    )
    again = engine.answer([rebuilt.request])[0]
    if by_version and failures:
        raise Refused("; ".join(failures))
    return again, [] if by_version else _unstamped(prediction, ranks)


def _by_versions(prediction: Prediction, parts: Sequence[tuple[Prediction, Rebuilt]]) -> Serving:
    """The version that answered as the only one, or those whose lists were drafted from, each from its own state."""
    first = parts[0][0].version
    arms = tuple(ReleaseArm(team.arm, team.version, team.arrangement) for team in prediction.teams)
    drafts = Release(id="rel1", kind="interleave", state="interleave", arms=arms, salt="rel1")
    pipelines = {(part.version, part.arrangement): rebuilt.load().pipeline for part, rebuilt in parts}
    return Serving(
        ReleaseState(champion=first, releases=(drafts,) if arms else ()),
        {version: pipeline for (version, _), pipeline in pipelines.items()},
        contexts={part.version: partial(_contexts_of, part, rebuilt) for part, rebuilt in parts},
        arrangements={part.version: part.arrangement for part, _ in parts},
        arranged=pipelines,
    )


def _contexts_of(part: Prediction, rebuilt: Rebuilt, requests: Sequence[Request]) -> tuple[list[Any], Offsets]:
    return _contexts(part, rebuilt)


def _by_fallback(prediction: Prediction, rebuilt: Rebuilt) -> Serving:
    return Serving(
        fallback=rebuilt.fallback(),
        fallback_version=prediction.version,
        fallback_arrangement=prediction.arrangement,
    )


def _unstamped(prediction: Prediction, ranks: bool) -> list[str]:
    """What a fallback answer does not say. `ranks`: whether answers are made from a catalog and what is popular."""
    if prediction.level == DEFAULT_LEVEL and not prediction.arrangement:
        return [
            "it was decided by what the application's file declared then, of which no revision is kept; compared "
            "with what the file declares now"
        ]
    memory = (("catalog", prediction.catalog), ("fallback", prediction.fallback)) if ranks else ()
    unstamped = [name for name, offsets in memory if not offsets]
    return [
        f"the {name} in memory is not stamped with offsets, it changed while it was read; taken as it was at the "
        "answer's own, so a difference may come from that"
        for name in unstamped
    ]


def _contexts(prediction: Prediction, rebuilt: Rebuilt) -> tuple[list[Any], Offsets]:
    if rebuilt.contexts is None:
        raise Refused("the answer must have read state, got none: name the id of an answer that a version made")
    return rebuilt.contexts, prediction.offsets


def _result(prediction: Prediction, again: Prediction | None, notes: list[str]) -> Replay:
    differences = [] if again is None else differences_of(prediction, again)
    return Replay(
        id=prediction.id,
        version=prediction.version,
        level=prediction.level,
        identical=again is not None and not differences,
        replayable=again is not None,
        differences=differences,
        notes=notes,
    )


def differences_of(then: Prediction, now: Prediction) -> list[str]:
    """One line for each rank whose item, source, score or part differs in any bit, and for each other difference."""
    lines = []
    for rank, (old, new) in enumerate(zip_longest(response_of(then).items, response_of(now).items), 1):
        if old is None or new is None or _bits(old) != _bits(new):
            lines.append(f"rank {rank}: then {_words(old)}, now {_words(new)}")
    if [_double(value) for value in then.values] != [_double(value) for value in now.values]:
        lines.append(f"values: then {then.values}, now {now.values}")
    for old_team, new_team in zip(then.teams, now.teams, strict=False):
        if (old_team.items, old_team.sources) != (new_team.items, new_team.sources):
            lines.append(f"list of {old_team.version} ({old_team.arm}): then {old_team.items}, now {new_team.items}")
    if then.drafted != now.drafted:
        lines.append(f"drafted from: then {then.drafted}, now {now.drafted}")
    if then.decision != now.decision:
        lines.append(f"decision: then {then.decision!r}, now {now.decision!r}")
    for index, (old_read, new_read) in enumerate(zip_longest(then.reads, now.reads), 1):
        old_digest, new_digest = _digest(old_read), _digest(new_read)
        if old_digest != new_digest:
            lines.append(f"features, read {index}: then digest {old_digest}, now {new_digest}")
    return lines


def _bits(item: RankedItem) -> tuple[object, ...]:
    return item.item, item.source, *map(_double, (item.score, item.propensity, *item.parts))


def _double(score: float) -> bytes:
    return struct.pack("<d", score)


def _digest(read: FeatureRead | None) -> str:
    return "none" if read is None else f"{read.digest:016x}"


def _words(item: RankedItem | None) -> str:
    return "nothing" if item is None else f"{item.item} {item.score!r} ({item.source})"
