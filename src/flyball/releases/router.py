"""Routes requests to versions: a pure function of the release state and the request, compiled once for each state.

A unit's slot in a layer and its arm in a release are salted hashes: they are the same in every process and after every
restart, and independent for different salts. Releases of one layer take disjoint slots, so a unit takes part in at most
one of them. Layers are independent of each other.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from flyball.outcomes import Exposure
from flyball.releases.release import INTERLEAVED, WHOLE, Release, ReleaseArm, StateName
from flyball.releases.state import HoldoutGroup, ReleaseState

BUCKETS = WHOLE
HOLDOUT, REST = "holdout", "rest"
SPLIT: tuple[StateName, ...] = ("canary", "ab", "bandit", "switchback", "interleave")
"""The states in which units are assigned to arms, or to a draft of all arms."""

_Unit = Callable[[str, Any], bytes | None]
_Matches = Callable[[Any], bool]
_Outcome = tuple[str, int | None]
_Marks = tuple[int, ...]
_CHAMPION: _Outcome = ("", None)
_NOBODY = -1
_PER_RELEASE = 1_000
"""Marks of a request in one layer: the numbers of the releases whose targets it matches; then the assigned arm, encoded
as release * 1,000 + arm, as -(release * 1,000 + arm) - 2 for an override, and as -1 for none."""
_NO_UNIT, _IN, _OUT = 0, 1, 2
"""The first mark: whether the request is in the holdout."""


class Route(msgspec.Struct, frozen=True):
    """How a request is answered.

    `version`: "" if none is released. `arrangement`: None for the released one. `propensity`: the probability of this
    version for the request. `exposures`: the releases that the response takes part in. `teams`: for a drafted list, the
    arms whose lists it is drafted from, control first; `version` then names all of them: "v1+v2".
    """

    version: str
    arm: str
    propensity: float
    exposures: tuple[Exposure, ...] = ()
    arrangement: int | None = None
    teams: tuple[ReleaseArm, ...] = ()


class _Group(msgspec.Struct, frozen=True):
    """The compiled holdout, which has `size` buckets."""

    hasher: Any
    unit: _Unit
    size: int
    share: float
    version: str
    held_out: tuple[Exposure, ...]
    others: tuple[Exposure, ...]


class _Slice(msgspec.Struct, frozen=True):
    """An arm with the buckets from the end of the previous slice up to, but not including, `end`."""

    end: int
    name: str
    outcome: _Outcome
    exposure: Exposure
    teams: tuple[ReleaseArm, ...] = ()


class _Split(msgspec.Struct, frozen=True):
    """A compiled release. `shares`: {(version, arrangement) of an arm: its share of the units that take part}. `part`:
    the share of the layer's units that take part, whose slots are in `[first, end)`."""

    hasher: Any
    unit: _Unit
    matches: _Matches | None
    overrides: tuple[tuple[_Matches, ReleaseArm], ...]
    slices: tuple[_Slice, ...]
    ends: tuple[int, ...]
    shares: dict[_Outcome, float]
    first: int
    end: int
    part: float


class Router:
    """The compiled release state. `route` is a pure function of the request.

    The marks of a request, its position in the holdout and in each layer, are computed for each request. The route for
    given marks is cached, because there are few combinations.
    """

    def __init__(self, state: ReleaseState) -> None:
        self.state = state
        self._champion = state.champion or ""
        self._plain = Route(self._champion, "champion", 1.0) if state.champion is not None else Route("", "none", 1.0)
        self._holdout = None if state.holdout is None else _group_of(state.holdout, self._champion)
        layers: dict[str, list[_Split]] = {}
        for release in state.under_way:
            if release.acts_as in SPLIT:
                layers.setdefault(release.layer, []).extend(_splits_of(release, self._champion))
        self._layers = [(_hasher(f"layer {name}"), tuple(splits)) for name, splits in sorted(layers.items())]
        self._split = bool(self._champion) and bool(self._layers or self._holdout)
        self._routes: dict[_Marks, Route] = {}
        self._forced = {
            name: Route(arm.version or self._champion, arm.name, 1.0, arrangement=arm.arrangement)
            for release in reversed(state.under_way)
            if release.acts_as != "shadow"  # users never see responses of a shadow
            for arm in release.arms
            for name in (arm.name, f"{release.id}:{arm.name}")
        }

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that a tester may request."""
        return tuple(sorted(self._forced))

    def route(self, key: str, event: Any = None, forced: str = "") -> Route:
        """The route of a request with this key and the fields of `event`.

        `forced`: an arm that a tester requests, such as "candidate" or "rel3:candidate", one of `arms`; another
        is ignored, so that a release that ends does not fail a request on its way.
        Forced and overridden requests are left out of comparisons.
        """
        if forced and forced in self._forced:
            return self._forced[forced]
        if not self._split:
            return self._plain
        marks = self._marks(key, event)
        route = self._routes.get(marks)
        if route is None:
            route = self._routes[marks] = self._route_of(marks)
        return route

    def _marks(self, key: str, event: Any) -> _Marks:
        """The marks of a request."""
        holdout, marks = self._holdout, [_NO_UNIT]
        if holdout is not None and (unit := holdout.unit(key, event)) is not None:
            marks[0] = _IN if _bucket(unit, holdout.hasher) < holdout.size else _OUT
        for layer_hasher, splits in self._layers:
            fits, chosen, slot = 0, _overridden(splits, event), -1
            for number, split in enumerate(splits):
                if split.matches is not None and not split.matches(event):
                    continue
                unit = split.unit(key, event)
                if unit is None:
                    continue
                fits |= 1 << number
                if chosen != _NOBODY:
                    continue
                if (
                    split.part != 1.0 and slot < 0
                ):  # the slot is computed once, because all releases of a layer have the same unit
                    slot = _bucket(unit, layer_hasher)
                if split.part == 1.0 or split.first <= slot < split.end:
                    chosen = number * _PER_RELEASE + bisect_right(split.ends, _bucket(unit, split.hasher))
            marks += (fits, chosen)
        return tuple(marks)

    def _route_of(self, marks: _Marks) -> Route:
        """The route for given marks."""
        layers = list(zip(self._layers, marks[1::2], marks[2::2], strict=True))
        takes = [
            [split for number, split in enumerate(splits) if fits >> number & 1] for (_, splits), fits, _ in layers
        ]
        holdout = self._holdout
        if holdout is not None and marks[0] == _IN:
            propensity = holdout.share + (1 - holdout.share) * self._probability(holdout.version, takes)
            return Route(holdout.version, HOLDOUT, propensity, holdout.held_out)
        exposures = list(holdout.others if holdout is not None and marks[0] == _OUT else ())
        version, arm, arrangement, propensity = self._champion, "champion", None, 1.0
        teams: tuple[ReleaseArm, ...] = ()
        for ((_, splits), _, chosen), fitting in zip(layers, takes, strict=True):
            outcome, name, exposure, drafts = _chosen(splits, chosen)
            if chosen >= _NOBODY:
                propensity *= _share(fitting, outcome)
            if exposure is not None:
                exposures.append(exposure)
            arm, version, teams = name or arm, outcome[0] or version, drafts or teams
            arrangement = arrangement if outcome[1] is None else outcome[1]
        if holdout is not None and marks[0] == _OUT:
            same = version == holdout.version and arrangement is None
            propensity = (1 - holdout.share) * propensity + (holdout.share if same else 0.0)
        return Route(version, arm, propensity, tuple(exposures), arrangement, teams)

    def _probability(self, version: str, takes: Sequence[list[_Split]]) -> float:
        """The probability that the layers assign `version` with the released arrangement."""
        name, propensity, reached = "" if version == self._champion else version, 1.0, version == self._champion
        for fitting in takes:
            here = bool(name) and any((name, None) in split.shares for split in fitting)
            reached = reached or here
            propensity *= _share(fitting, (name if here else "", None))
        return propensity if reached else 0.0


def route(state: ReleaseState, key: str, event: Any = None) -> Route:
    """The route of one request. To route many requests, use a `Router`.

    >>> route(ReleaseState(champion="v1"), "42")
    Route(version='v1', arm='champion', propensity=1.0, exposures=(), arrangement=None, teams=())
    """
    return Router(state).route(key, event)


def bucket_of(key: str, salt: str) -> int:
    """The bucket of `key`, in `[0, 10_000)`; independent for different salts."""
    return _bucket(key.encode("utf-8", "surrogatepass"), _hasher(salt))


def unit_of(fields: tuple[str, ...], key: str, values: Mapping[str, Any]) -> str | None:
    """The unit of a request with these `values`: the first present value of `fields`, None if there is none.

    Without `fields`, it is the request's key.
    """
    if not fields:
        return key
    present = (values.get(field) for field in fields)
    return next((str(value) for value in present if value is not None and value != ""), None)


def _chosen(splits: tuple[_Split, ...], chosen: int) -> tuple[_Outcome, str, Exposure | None, tuple[ReleaseArm, ...]]:
    """(version and arrangement, arm, exposure, arms to draft from) for the arm that a layer assigned."""
    if chosen == _NOBODY:
        return _CHAMPION, "", None, ()
    if chosen < _NOBODY:
        number, index = divmod(-chosen - 2, _PER_RELEASE)
        arm = splits[number].overrides[index][1]
        return (arm.version, arm.arrangement), arm.name, None, ()
    number, index = divmod(chosen, _PER_RELEASE)
    part = splits[number].slices[index]
    return part.outcome, part.name, part.exposure, part.teams


def _overridden(splits: tuple[_Split, ...], event: Any) -> int:
    """The mark of the first override that the request matches, before any release of the layer draws its arm."""
    for number, split in enumerate(splits):
        for index, (matches, _) in enumerate(split.overrides):
            if matches(event):
                return -(number * _PER_RELEASE + index) - 2
    return _NOBODY


def _share(takes: list[_Split], outcome: _Outcome) -> float:
    """The probability that the releases of a layer assign `outcome`."""
    share = sum(split.part * split.shares.get(outcome, 0.0) for split in takes)
    return share + (1.0 - sum(split.part for split in takes)) if outcome == _CHAMPION else share


def _splits_of(release: Release, champion: str) -> list[_Split]:
    """The split of a release; if groups have their own shares, one split for each and one for other requests."""
    if not release.weights:
        return [_split_of(release, champion)]
    ungrouped = msgspec.structs.replace(release, weights={})
    splits = []
    for value, weights in release.weights.items():
        arms = tuple(msgspec.structs.replace(arm, weight=weights[arm.name]) for arm in release.arms)
        within = _both(_matcher(release.targets), _matcher({release.group: (value,)}))
        splits.append(
            msgspec.structs.replace(_split_of(msgspec.structs.replace(ungrouped, arms=arms), champion), matches=within)
        )
    known, inside = frozenset(release.weights), _matcher(release.targets)
    others = _both(inside, lambda event: str(getattr(event, release.group, "")) not in known)
    return [*splits, msgspec.structs.replace(_split_of(ungrouped, champion), matches=others)]


def _both(first: _Matches, second: _Matches) -> _Matches:
    return lambda event: first(event) and second(event)


def _split_of(release: Release, champion: str) -> _Split:
    arms = {arm.name: arm for arm in release.arms}
    slices = _drafted(release, champion) if release.acts_as == "interleave" else _slices(release, champion)
    shares: dict[_Outcome, float] = {}
    for part in slices:
        shares[part.outcome] = shares.get(part.outcome, 0.0) + part.exposure.propensity
    overrides = tuple((_matcher(override.where), arms[override.arm]) for override in release.overrides)
    return _Split(
        _hasher(release.salt),
        _periods(release) if release.acts_as == "switchback" else _reader(release.unit),
        _matcher(release.targets) if release.targets else None,
        overrides,
        tuple(slices),
        tuple(part.end for part in slices),
        shares,
        release.first,
        release.end,
        (release.end - release.first) / WHOLE,
    )


def _slices(release: Release, champion: str) -> list[_Slice]:
    """The slices of a release. In a ramp, control shrinks from its end, so that units keep the candidate."""
    sizes = {name: round(share * BUCKETS) for name, share in release.shares().items()}
    slices, end = [], 0
    for arm in release.arms:
        size = sizes[arm.name] if arm is not release.arms[-1] else BUCKETS - end
        if not size:
            continue
        end, share = end + size, size / BUCKETS
        outcome = "" if arm.version == champion else arm.version, arm.arrangement
        slices.append(_Slice(end, arm.name, outcome, Exposure(release.id, arm.name, share)))
    return slices


def _drafted(release: Release, champion: str) -> list[_Slice]:
    """The single slice of a release in which every unit gets lists drafted from all arms."""
    teams = tuple(msgspec.structs.replace(arm, version=arm.version or champion) for arm in release.arms)
    exposure = Exposure(release.id, INTERLEAVED, 1.0)
    return [_Slice(BUCKETS, INTERLEAVED, ("+".join(arm.version for arm in teams), None), exposure, teams)]


def _group_of(holdout: HoldoutGroup, champion: str) -> _Group:
    size = round(holdout.share * BUCKETS)
    share = size / BUCKETS
    held_out, others = Exposure(HOLDOUT, HOLDOUT, share), Exposure(HOLDOUT, REST, 1 - share)
    version = holdout.version or champion
    return _Group(_hasher(holdout.salt), _reader(holdout.unit), size, share, version, (held_out,), (others,))


def _reader(fields: tuple[str, ...]) -> _Unit:
    """A function that returns the unit of a request: the first present value of `fields`, None if there is none."""
    if not fields:
        return lambda key, event: key.encode("utf-8", "surrogatepass")
    if len(fields) == 1:
        (name,) = fields

        def of_one(key: str, event: Any) -> bytes | None:
            value = getattr(event, name, None)
            return None if value is None or value == "" else str(value).encode("utf-8", "surrogatepass")

        return of_one

    def of_first(key: str, event: Any) -> bytes | None:
        for name in fields:
            value = getattr(event, name, None)
            if value is not None and value != "":
                return str(value).encode("utf-8", "surrogatepass")
        return None

    return of_first


def _periods(release: Release) -> _Unit:
    """A function that returns what a switchback assigns to an arm: a period, of each unit if the release names one."""
    period_us = int(release.constants["period_us"])
    of_unit = _reader(release.unit) if release.unit else None

    def of_period(key: str, event: Any) -> bytes | None:
        period = getattr(event, "at", 0) // period_us
        if of_unit is None:
            return b"%d" % period
        unit = of_unit(key, event)
        return None if unit is None else b"%d %s" % (period, unit)

    return of_period


def _matcher(where: Mapping[str, tuple[str, ...]]) -> _Matches:
    """A function that returns whether the fields of an event have one of the values in `where`."""
    allowed = [(name, frozenset(values)) for name, values in where.items()]
    if len(allowed) == 1:
        ((field, values_of_field),) = allowed
        return lambda event: str(getattr(event, field, "")) in values_of_field
    return lambda event: all(str(getattr(event, name, "")) in values for name, values in allowed)


_Hasher = Any


def _hasher(salt: str) -> _Hasher:
    """A hash object that has consumed the salt; copy it to hash a unit."""
    return blake2b(digest_size=8, key=salt.encode()[:64])


def _bucket(unit: bytes, hasher: _Hasher) -> int:
    copied = hasher.copy()
    copied.update(unit)
    return int.from_bytes(copied.digest(), "big") % BUCKETS
