"""Who sees what: a pure function of the released state and the request, compiled once for each state.

A unit's slot in a layer and its arm in a release are salted hashes: the same in every process and after every restart,
and unrelated from one salt to another. Releases of one layer take slots that do not overlap; a unit takes part in at
most one of them, and in each layer independently of the others.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from flyball.outcomes import Exposure
from flyball.releases.release import WHOLE, Release, ReleaseArm, StateName
from flyball.releases.state import HoldoutGroup, ReleaseState

BUCKETS = WHOLE
HOLDOUT, REST = "holdout", "rest"
SPLIT: tuple[StateName, ...] = ("canary", "ab", "bandit", "switchback")
"""The states in which arms answer different units."""

_Unit = Callable[[str, Any], str | None]
_Matches = Callable[[Any], bool]
_Outcome = tuple[str, int | None]


class Route(msgspec.Struct, frozen=True):
    """Which version answers ("" when none is released), by which arrangement (None: the released one), as which arm,
    with which probability that was so, and the releases that the answer takes part in."""

    version: str
    arm: str
    propensity: float
    exposures: tuple[Exposure, ...] = ()
    arrangement: int | None = None


class _Group(msgspec.Struct, frozen=True):
    """The holdout, compiled: `size` buckets of its own."""

    key: bytes
    unit: _Unit
    size: int
    share: float
    version: str
    held_out: tuple[Exposure, ...]
    others: tuple[Exposure, ...]


class _Slice(msgspec.Struct, frozen=True):
    """An arm that takes the buckets from where the one before ended up to before `end`."""

    end: int
    name: str
    outcome: _Outcome
    exposure: Exposure


class _Split(msgspec.Struct, frozen=True):
    """A release, compiled. `shares`: {what an arm answers by: its share of the units that take part}; `part`: the
    share of its layer's units that do."""

    release: Release
    key: bytes
    unit: _Unit
    matches: _Matches
    overrides: tuple[tuple[_Matches, ReleaseArm], ...]
    slices: tuple[_Slice, ...]
    shares: dict[_Outcome, float]
    takes_all: bool
    part: float


class Router:
    """The compiled state; `route` asks nobody and changes nothing."""

    def __init__(self, state: ReleaseState) -> None:
        self.state = state
        self._champion = state.champion or ""
        self._plain = Route(self._champion, "champion", 1.0) if state.champion is not None else Route("", "none", 1.0)
        self._holdout = None if state.holdout is None else _group_of(state.holdout, self._champion)
        layers: dict[str, list[_Split]] = {}
        for release in state.under_way:
            if release.acts_as in SPLIT:
                layers.setdefault(release.layer, []).append(_split_of(release, self._champion))
        self._layers = [(_key(f"layer {name}"), tuple(splits)) for name, splits in sorted(layers.items())]
        self._split = bool(self._champion) and bool(self._layers or self._holdout)
        self._forced = {
            name: Route(arm.version or self._champion, arm.name, 1.0, arrangement=arm.arrangement)
            for release in reversed(state.under_way)
            for arm in release.arms
            for name in (arm.name, f"{release.id}:{arm.name}")
        }

    def route(self, key: str, event: Any = None, forced: str = "") -> Route:
        """The version for a request with this key, whose fields `event` has.

        `forced`: the arm that a tester asked for, such as "candidate" or "rel3:candidate"; one that does not exist is
        ignored. What is forced or overridden takes part in no comparison.
        """
        if forced and forced in self._forced:
            return self._forced[forced]
        if not self._split:
            return self._plain
        exposures: tuple[Exposure, ...] = ()
        holdout, out = self._holdout, 0.0
        if holdout is not None and (unit := holdout.unit(key, event)) is not None:
            if _bucket(unit, holdout.key) < holdout.size:
                propensity = holdout.share + (1 - holdout.share) * self._probability(holdout.version, event, key)
                return Route(holdout.version, HOLDOUT, propensity, holdout.held_out)
            exposures, out = holdout.others, holdout.share
        arrangement: int | None = None
        version, arm, propensity = self._champion, "champion", 1.0
        for layer_key, splits in self._layers:
            chosen_arm = _through(layer_key, splits, key, event)
            if chosen_arm is None:
                continue
            (chosen, revision), arm_of_layer, share, exposure = chosen_arm
            propensity *= share
            if exposure is not None:
                exposures = (*exposures, exposure)
            arm = arm_of_layer or arm
            version, arrangement = chosen or version, arrangement if revision is None else revision
        if out:
            same = holdout is not None and version == holdout.version and arrangement is None
            propensity = (1 - out) * propensity + (out if same else 0.0)
        return Route(version, arm, propensity, exposures, arrangement)

    def _probability(self, version: str, event: Any, key: str) -> float:
        """How likely it is that the layers lead to `version` by the released arrangement."""
        propensity = 1.0
        other_version = "" if version == self._champion else version
        reached = not other_version
        for _, splits in self._layers:
            takes = [split for split in splits if split.unit(key, event) is not None and split.matches(event)]
            name = (
                other_version if other_version and any((other_version, None) in split.shares for split in takes) else ""
            )
            reached = reached or bool(name)
            propensity *= _share(takes, (name, None))
        return propensity if reached else 0.0


def route(state: ReleaseState, key: str, event: Any = None) -> Route:
    """The version for one request; whoever routes many keeps a `Router`.

    >>> route(ReleaseState(champion="v1"), "42")
    Route(version='v1', arm='champion', propensity=1.0, exposures=(), arrangement=None)
    """
    return Router(state).route(key, event)


def bucket_of(key: str, salt: str) -> int:
    """Which of the 10,000 buckets `key` falls into under `salt`; other salts give unrelated buckets."""
    return _bucket(key, _key(salt))


def unit_of(fields: tuple[str, ...], key: str, values: Mapping[str, Any]) -> str | None:
    """The unit of a request whose fields have these `values`: the first of `fields` that is there, None when none is;
    its key where no field is named."""
    if not fields:
        return key
    present = (values.get(field) for field in fields)
    return next((str(value) for value in present if value is not None and value != ""), None)


def _through(
    layer_key: bytes, splits: tuple[_Split, ...], key: str, event: Any
) -> tuple[_Outcome, str, float, Exposure | None] | None:
    """What one layer says: what to answer by, as which arm, how likely that was, and the exposure; None when no
    release of it takes the request."""
    takes: list[_Split] = []
    chosen_arm: tuple[_Split, _Slice] | None = None
    for split in splits:
        for matches, arm in split.overrides:
            if matches(event):
                return (arm.version, arm.arrangement), arm.name, 1.0, None
        unit = split.unit(key, event)
        if unit is None or not split.matches(event):
            continue
        takes.append(split)
        if chosen_arm is None and (
            split.takes_all or split.release.first <= _bucket(unit, layer_key) < split.release.end
        ):
            bucket = _bucket(unit, split.key)
            chosen_arm = split, next(part for part in split.slices if bucket < part.end)
    if not takes:
        return None
    if chosen_arm is None:
        return ("", None), "", _share(takes, ("", None)), None
    _, part = chosen_arm
    return part.outcome, part.name, _share(takes, part.outcome), part.exposure


def _share(takes: list[_Split], outcome: _Outcome) -> float:
    """How likely it is that one of these releases of a layer leads to `outcome`."""
    if len(takes) == 1 and takes[0].takes_all:
        return takes[0].shares.get(outcome, 0.0)
    share = sum(split.part * split.shares.get(outcome, 0.0) for split in takes)
    return share + (1.0 - sum(split.part for split in takes)) if outcome == ("", None) else share


def _split_of(release: Release, champion: str) -> _Split:
    arms = {arm.name: arm for arm in release.arms}
    sizes = {name: round(share * BUCKETS) for name, share in release.shares().items()}
    # in a ramp control comes first and shrinks from its end, so that whoever has the candidate keeps it
    slices, end = [], 0
    shares: dict[_Outcome, float] = {}
    for arm in release.arms:
        size = sizes[arm.name] if arm is not release.arms[-1] else BUCKETS - end
        if not size:
            continue
        end, share = end + size, size / BUCKETS
        outcome = "" if arm.version == champion else arm.version, arm.arrangement
        shares[outcome] = shares.get(outcome, 0.0) + share
        slices.append(_Slice(end, arm.name, outcome, Exposure(release.id, arm.name, share)))
    overrides = tuple((_matcher(override.where), arms[override.arm]) for override in release.overrides)
    part = (release.end - release.first) / WHOLE
    return _Split(
        release,
        _key(release.salt),
        _periods(release) if release.acts_as == "switchback" else _reader(release.unit),
        _matcher(release.targets),
        overrides,
        tuple(slices),
        shares,
        part == 1.0,
        part,
    )


def _group_of(holdout: HoldoutGroup, champion: str) -> _Group:
    size = round(holdout.share * BUCKETS)
    share = size / BUCKETS
    held_out, others = Exposure(HOLDOUT, HOLDOUT, share), Exposure(HOLDOUT, REST, 1 - share)
    version = holdout.version or champion
    return _Group(_key(holdout.salt), _reader(holdout.unit), size, share, version, (held_out,), (others,))


def _reader(fields: tuple[str, ...]) -> _Unit:
    """The unit of a request: the first field that holds something, None when none does."""
    if not fields:
        return lambda key, event: key
    if len(fields) == 1:
        (name,) = fields

        def of_one(key: str, event: Any) -> str | None:
            value = getattr(event, name, None)
            return None if value is None or value == "" else str(value)

        return of_one

    def of_first(key: str, event: Any) -> str | None:
        for name in fields:
            value = getattr(event, name, None)
            if value is not None and value != "":
                return str(value)
        return None

    return of_first


def _periods(release: Release) -> _Unit:
    """What a switchback assigns: a stretch of time, of each unit apart where the release names one."""
    period_us = int(release.constants["period_us"])
    of_unit = _reader(release.unit) if release.unit else None

    def of_period(key: str, event: Any) -> str | None:
        period = getattr(event, "at", 0) // period_us
        if of_unit is None:
            return str(period)
        unit = of_unit(key, event)
        return None if unit is None else f"{period} {unit}"

    return of_period


def _matcher(where: Mapping[str, tuple[str, ...]]) -> _Matches:
    """Whether the fields are among the values; always, where none are named."""
    if not where:
        return lambda event: True
    allowed = [(name, frozenset(values)) for name, values in where.items()]
    return lambda event: all(str(getattr(event, name, "")) in values for name, values in allowed)


def _key(salt: str) -> bytes:
    return salt.encode()[:64]


def _bucket(unit: str, key: bytes) -> int:
    digest = blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big") % BUCKETS
