"""The contract of a simulated world: users and items with hidden properties, their requests and events.

A step of a world is three calls: `requests` (those before a timestamp), `decide` (what users do with the responses),
and `emit` (the lines that reach the log before that timestamp). A world changes only in these calls and reads no clock,
so the same calls give the same lines.
"""

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec
import numpy as np

from flyball.core import NOTHING, BadDeclaration, BadInput, Doubles, InWords
from flyball.policy import WORLDS, WorldSpec
from flyball.tasks import Response

DAY_US = 86_400_000_000
_Time = TypeVar("_Time", int, np.ndarray)


class Timeline(msgspec.Struct, frozen=True):
    """The map from world time to written time, microseconds.

    `world_us` is written as `written_us`; after it, `speed` microseconds of world time are one of written time.
    """

    world_us: int = 0
    written_us: int = 0
    speed: float = 1.0

    def written(self, at_us: _Time) -> _Time:
        """The written time of a timestamp, or of an int64 array of timestamps of any shape.

        >>> Timeline(world_us=1_000, written_us=50, speed=10.0).written(1_200)
        70
        """
        passed_us = at_us - self.world_us
        if self.speed == 1.0:
            return passed_us + self.written_us
        if isinstance(passed_us, int):
            return self.written_us + int(passed_us / self.speed)
        return self.written_us + (passed_us / self.speed).astype(np.int64)


class WorldRequest(msgspec.Struct, frozen=True):
    """The `number`-th request of a world, at world time `at_us`, with the fields of the request event."""

    number: int
    at_us: int
    fields: dict[str, Any]


class TrueOutcome(msgspec.Struct, frozen=True):
    """The true outcome of a request. `name`: its label; a later outcome of the same name replaces it."""

    request: int
    name: str
    value: float


class WorldBatch(msgspec.Struct, frozen=True):
    """The lines that reach the log, in order of arrival.

    `lines`: (format, lines), to be ingested in this order. `planted`: {kind: number of lines}, including the kinds
    "broken", which must end in quarantine, and "duplicate", which must not count. `outcomes`: the true outcomes since
    the last batch. `pending`: whether more lines will follow without further requests.
    """

    lines: Sequence[tuple[str, Sequence[bytes]]] = ()
    planted: Mapping[str, int] = {}
    outcomes: Sequence[TrueOutcome] = ()
    pending: bool = False


class PushAttack(msgspec.Struct, frozen=True):
    """Lines of `accounts` that push `targets`: (event time in microseconds, format, line), by time."""

    accounts: list[str]
    targets: list[str]
    lines: list[tuple[int, str, bytes]]


class World(Protocol):
    """A world, created with `seed` and `start_us`; all its randomness comes from `rng`, which a driver may replace."""

    rng: np.random.Generator

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        """The requests in [now, until_us), ordered by time."""
        ...

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        """Let users decide about the responses; None for no response. `took_us`: their durations, microseconds."""
        ...

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        """The lines that reach the log in [now, until_us); now becomes `until_us`.

        The first call, at the start of the world, returns the profiles of the users and items that exist then.
        """
        ...

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Doubles]:
        """{true metric: float64, shape (requests,)} of responses before `decide`; the first metric is the main one."""
        ...

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        """Other responses to the same requests, such as {"oracle": ..., "popular": ..., "random": ...}."""
        ...


class ShiftingWorld(Protocol):
    """A `World` whose ground truth can be moved while it lives, for drills of shift.

    `SHIFTS`: {kind: what changes, in words}; the kinds are those of `WORLD_SHIFTS` that the world has.
    """

    SHIFTS: ClassVar[Mapping[str, str]]

    def shift(self, kind: str, share: float) -> None:
        """From now on, have the change `kind` to the extent `share`: 0 for not at all, 1 for all of it."""
        ...


WORLD_SHIFTS = ("covariate", "label", "concept", "demand")
"""What may move in a world: who asks and for what, while the same causes have the same effects (covariate); how often
the outcome happens, while its cases look as before (label); what follows from the same request (concept); and how
many ask, with another mix (demand)."""


class DrillScale(msgspec.Struct, frozen=True):
    """The settings of a world in a drill: small, but with enough traffic to decide a release within days.

    The class of a world may have one as `DRILL`. `settings`: of the world, including `past_days`. `margin`: how much
    worse the primary metric of an experiment may be, in its unit, if only this metric shows the fault. `of_outcomes`:
    settings that replace others then, and `candidates`: the names of the candidates that are learned (default: the
    first two declared). A fault can only take from answers what they are worth: the champion must be worth something.
    `of_data`: settings that replace others in a drill of watching, which has weeks of past. `of_shift`: the same in a
    drill of shift, with the candidates `of_shift_candidates` (default: the first two declared) and steps of
    `shift_step_h` hours, in which a user of a world may come only once. `warm_days`: how long a
    service lives until its windows show what is usual: in a world where answers change what users do, a new service is
    itself a shift. 0 where windows of the past show it too. `of_monitors`: settings that replace those of a drill of
    shift in one of monitors. `fractions`: how many numbers with a fraction a line has.
    """

    settings: dict[str, Any] = {}
    margin: float = 0.1
    of_outcomes: dict[str, Any] = {}
    candidates: tuple[str, ...] = ()
    of_data: dict[str, Any] = {}
    of_shift: dict[str, Any] = {}
    of_shift_candidates: tuple[str, ...] = ()
    shift_step_h: int = 12
    warm_days: int = 0
    of_monitors: dict[str, Any] = {}
    fractions: int = 0

    @property
    def known_days(self) -> int:
        """After how many days of service a week of usual windows is known."""
        return self.warm_days + 7 if self.warm_days else 0

    def usual_since(self, start_us: int) -> int:
        """From when on windows show what is usual, for a service that starts at `start_us`; microseconds."""
        return start_us + self.warm_days * DAY_US if self.warm_days else 0


def can_be_pushed(spec: WorldSpec | None, app: str) -> bool:
    """Whether the world of application `app` has a `push_attack`. Raises `BadDeclaration` for no world."""
    return hasattr(_maker(spec, app), "push_attack")


def drill_scale(spec: WorldSpec | None, app: str) -> DrillScale:
    """The `DrillScale` of the world of application `app`, or the default. Raises `BadDeclaration` for no world."""
    scale: DrillScale = getattr(_maker(spec, app), "DRILL", DrillScale())
    return scale


def open_world(spec: WorldSpec | None, app: str, *, seed: int, start_us: int, **settings: Any) -> World:
    """The world of application `app` at its start; `settings` replace those of `spec`.

    Raises `BadDeclaration` if `spec` is None, `BadInput` for a setting that the world does not have.
    """
    chosen = world_settings(spec, app, settings)
    world: World = _maker(spec, app)(seed=seed, start_us=start_us, **chosen)
    return world


def world_settings(spec: WorldSpec | None, app: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults of the world; raises as `open_world` does."""
    parameters = inspect.signature(_maker(spec, app)).parameters
    names = [name for name in parameters if name not in ("seed", "start_us")]
    chosen = {**(spec.settings if spec else {}), **settings}
    for name in chosen:
        if name not in names:
            raise BadInput(f"setting of the world of {app}", f"one of {', '.join(names)}", name)
    needed = [name for name in names if _is_required(parameters[name]) and name not in chosen]
    if needed:
        raise BadInput(f"world of {app}", f"given {', '.join(needed)} in fb.world(...)", NOTHING)
    return chosen


def _is_required(parameter: inspect.Parameter) -> bool:
    gathers_others = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not gathers_others


def shown_settings(spec: WorldSpec | None, app: str, settings: Mapping[str, Any]) -> dict[str, int | float | str]:
    """The settings that describe the world in one line: all whole numbers, and others that differ from defaults."""
    parameters = inspect.signature(_maker(spec, app)).parameters
    sizes = {name: parameter.default for name, parameter in parameters.items() if type(parameter.default) is int}
    known = {**sizes, **world_settings(spec, app, settings)}
    return {name: value for name, value in known.items() if isinstance(value, int | float | str)}


def _maker(spec: WorldSpec | None, app: str) -> Any:
    if spec is None:
        raise BadDeclaration(
            f"application {app!r}",
            'one that names a world of simulated users, such as fb.App(..., world=fb.world("shop")); '
            "see docs/how-to/try-it-in-a-simulated-world.md",
            InWords("no world"),
        )
    if not isinstance(spec.kind, str):
        return spec.kind
    module, name = WORLDS[spec.kind].split(":")
    return getattr(import_module(module), name)
