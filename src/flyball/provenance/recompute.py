"""Recomputes an answer and compares every bit."""

import struct
from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from flyball.core import ArtifactCorrupt, NotFound, Refused
from flyball.events import Offsets
from flyball.outcomes import Prediction, find_prediction
from flyball.provenance.rebuild import Rebuilt, load, popular_list, rebuild
from flyball.releases import ReleaseState
from flyball.runtime import Runtime
from flyball.serving import Ask, Engine, Memory, Serving
from flyball.tasks import Shown, UserHistory

BY_VERSION = ("champion", "chosen", "previous")


class Replay(msgspec.Struct, frozen=True):
    """What came of computing an answer again.

    `identical`: every item, source and bit of every score is the same. `replayable`: it could be computed at all.
    `differences`: one line each. `notes`: what a reader should know.
    """

    id: str
    version: str
    level: str
    identical: bool
    replayable: bool
    differences: list[str]
    notes: list[str]

    def text(self) -> str:
        """For a person."""
        if not self.replayable:
            return "\n".join([f"{self.id} cannot be replayed", *self.notes])
        made = f"by {self.version}" if self.version else "without a version"
        head = f"{self.id} ({self.level}, {made}): " + (
            "identical, bit for bit" if self.identical else f"NOT identical, {len(self.differences)} differences"
        )
        return "\n".join([head, *self.differences, *self.notes])


def replay(runtime: Runtime, prediction_id: str) -> Replay:
    """Rebuild the state that the answer was made from and answer again, through the engine that serves.

    Raises `NotFound` for an unknown id. What cannot be rebuilt is told, never guessed.
    """
    prediction = find_prediction(runtime.predictions, prediction_id)
    try:
        again, notes = _again(runtime, prediction)
    except (ArtifactCorrupt, NotFound, Refused) as error:
        return _result(prediction, None, [str(error)])
    return _result(prediction, again, notes)


def _again(runtime: Runtime, prediction: Prediction) -> tuple[Prediction, list[str]]:
    by_version = prediction.level in BY_VERSION
    if not prediction.offsets and not prediction.catalog:
        raise Refused("it is stamped with no offsets: its lists lay in memory and changed while they were read")
    rebuilt = rebuild(runtime, prediction)
    serving, notes = (_by_version if by_version else _from_memory)(runtime, prediction, rebuilt)
    failures: list[str] = []
    engine = Engine(
        lambda users: _read(prediction, rebuilt),
        lambda kind, subject, why: failures.append(f"{subject}: {why}"),
        serving,
    )
    again = engine.answer([_ask(prediction)])[0]
    if by_version and failures:
        raise Refused("; ".join(failures))
    return again, notes


def _by_version(runtime: Runtime, prediction: Prediction, rebuilt: Rebuilt) -> tuple[Serving, list[str]]:
    version = runtime.registry.version(prediction.version)
    loaded = load(runtime, version, rebuilt.catalog, prediction.feature_offsets)
    release = ReleaseState(champion=version.id)
    return Serving(release, {version.id: loaded.pipeline}, catalog=rebuilt.catalog), []


def _from_memory(runtime: Runtime, prediction: Prediction, rebuilt: Rebuilt) -> tuple[Serving, list[str]]:
    groups: dict[str, list[Shown]] = {}
    if prediction.version:
        groups = load(runtime, runtime.registry.version(prediction.version), rebuilt.catalog).groups
    popular = popular_list(runtime, prediction)
    pairs = list(zip(popular.items, popular.scores, strict=True))
    memory = Memory(prediction.version, groups, pairs, rebuilt.catalog)
    unstamped = [
        name for name, offsets in (("catalogue", prediction.catalog), ("popular list", prediction.lists)) if not offsets
    ]
    notes = [
        f"the {name} in memory is not stamped with offsets, it changed while it was read; taken as it was at the "
        "answer's own, so a difference may come from that"
        for name in unstamped
    ]
    return Serving(memory=memory, catalog=rebuilt.catalog), notes


def _read(prediction: Prediction, rebuilt: Rebuilt) -> tuple[list[UserHistory], Offsets]:
    if rebuilt.history is None:
        raise Refused("the answer read no history")
    return [rebuilt.history], prediction.offsets


def _ask(prediction: Prediction) -> Ask:
    return Ask(
        prediction.id,
        prediction.user,
        prediction.k,
        prediction.at_us,
        prediction.include,
        prediction.exclude,
        tuple(prediction.without),
    )


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
    """One line for each place whose item, source or score differs in any bit."""
    lines = []
    for place, (old, new) in enumerate(zip_longest(_places(then), _places(now))):
        if old is None or new is None or old[:2] != new[:2] or _bits(old[2]) != _bits(new[2]):
            lines.append(f"place {place + 1}: then {_words(old)}, now {_words(new)}")
    if then.feature_digest != now.feature_digest:
        lines.append(f"features: then digest {then.feature_digest:016x}, now {now.feature_digest:016x}")
    return lines


def _places(prediction: Prediction) -> Sequence[tuple[str, str, float]]:
    return list(zip(prediction.items, prediction.sources, prediction.scores, strict=True))


def _bits(score: float) -> bytes:
    return struct.pack("<d", score)


def _words(place: tuple[str, str, float] | None) -> str:
    return "nothing" if place is None else f"{place[0]} {place[2]!r} ({place[1]})"
