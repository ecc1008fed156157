"""The contract of a simulated world: people and things with a hidden truth, and what they send and do.

A step of a world is: `requests` (what is asked before a timestamp), `decide` (what people do about the responses),
`emit` (what reaches the log before that timestamp). Nothing happens by itself and no clock is read: the same calls give
the same lines.
"""

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from flyball.core import BadDeclaration, BadInput, Doubles
from flyball.policy import WORLDS, WorldSpec
from flyball.tasks import Response

DAY_US = 86_400_000_000
_Time = TypeVar("_Time", int, np.ndarray)


class Timeline(msgspec.Struct, frozen=True):
    """How world time is written: `world_us` as `written_us`, from then on `speed` times slower than it passes."""

    world_us: int = 0
    written_us: int = 0
    speed: float = 1.0

    def written(self, at_us: _Time) -> _Time:
        """The timestamp, or int64 array of them, as it is written.

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
    """Somebody asks: the `number`-th request of this world, at `at_us` of its time, with the request event's fields."""

    number: int
    at_us: int
    fields: dict[str, Any]


class TrueOutcome(msgspec.Struct, frozen=True):
    """What truly came of a request, by the name of its label. A later one of the same name takes its place."""

    request: int
    name: str
    value: float


class WorldBatch(msgspec.Struct, frozen=True):
    """What reaches the log, in order of arrival.

    `lines`: (format, lines) to be ingested one after the other. `planted`: how many lines of each kind these are; of
    the kind "broken", which must end in quarantine, and "duplicate", which must not count, too. `outcomes`: what became
    true since the last batch. `pending`: whether something that has begun still leaves lines later.
    """

    lines: Sequence[tuple[str, Sequence[bytes]]] = ()
    planted: Mapping[str, int] = {}
    outcomes: Sequence[TrueOutcome] = ()
    pending: bool = False


class World(Protocol):
    """A world, made with `seed` and `start_us`. All chance of its life comes from `rng`, which a driver may replace."""

    rng: np.random.Generator

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        """What is asked in [now, until_us), in order of time."""
        ...

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        """What people do about the responses. None: nothing came."""
        ...

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        """What reaches the log in [now, until_us); now becomes `until_us`.

        The first call, at the start of the world, gives the profiles of what is there.
        """
        ...

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Doubles]:
        """{true metric: float64 (requests,)} of responses that nobody has acted on yet; the first is the main one."""
        ...

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        """Other responses to the same requests, such as {"oracle": ..., "popular": ..., "random": ...}."""
        ...


class DrillScale(msgspec.Struct, frozen=True):
    """How a world is made for a drill: small, but with the traffic to decide a release within days.

    A world's class may have one as `DRILL`. `settings`: of the world, `past_days` among them. `margin`: by how much the
    primary metric of an experiment may be worse, in its own unit, where only that shows a fault.
    """

    settings: dict[str, Any] = {}
    margin: float = 0.1


def drill_scale(spec: WorldSpec | None, app: str) -> DrillScale:
    """The scale that the world of application `app` has for drills, or the default one. Raises `BadDeclaration`."""
    scale: DrillScale = getattr(_maker(spec, app), "DRILL", DrillScale())
    return scale


def open_world(spec: WorldSpec | None, app: str, *, seed: int, start_us: int, **settings: Any) -> World:
    """The world of application `app` at its start; `settings` come before those of `spec`.

    Raises `BadDeclaration` when `spec` is None, `BadInput` for a setting that the world does not have.
    """
    chosen = world_settings(spec, app, settings)
    world: World = _maker(spec, app)(seed=seed, start_us=start_us, **chosen)
    return world


def world_settings(spec: WorldSpec | None, app: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the world's own; raises as `open_world` does."""
    parameters = inspect.signature(_maker(spec, app)).parameters
    names = [name for name in parameters if name not in ("seed", "start_us")]
    chosen = {**(spec.settings if spec else {}), **settings}
    for name in chosen:
        if name not in names:
            raise BadInput(f"setting of the world of {app}", f"one of {', '.join(names)}", name)
    return chosen


def shown_settings(spec: WorldSpec | None, app: str, settings: Mapping[str, Any]) -> dict[str, int | float | str]:
    """What describes the world in a line: its whole numbers, and whatever else differs from its own defaults."""
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
            "no world",
        )
    if not isinstance(spec.kind, str):
        return spec.kind
    module, name = WORLDS[spec.kind].split(":")
    return getattr(import_module(module), name)
