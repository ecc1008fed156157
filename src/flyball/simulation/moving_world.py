"""A world that is shifted while it lives, as a schedule says."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from flyball.core import Doubles, Refused
from flyball.simulation.world import ShiftingWorld, Timeline, World, WorldBatch, WorldRequest
from flyball.tasks import Response


class MovingWorld:
    """The world `world`, with its change `kind` to the extent `share_at(now)`. Raises `Refused` if it has none."""

    def __init__(self, world: World, kind: str, share_at: Callable[[int], float], app: str) -> None:
        self._world, self._kind, self._share_at = world, kind, share_at
        self._shifting: ShiftingWorld = shifting(world, kind, app)

    @property
    def rng(self) -> np.random.Generator:
        return self._world.rng

    @rng.setter
    def rng(self, rng: np.random.Generator) -> None:
        self._world.rng = rng

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        self._shifting.shift(self._kind, self._share_at(until_us - 1))
        return self._world.requests(until_us, timeline)

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        self._world.decide(requests, responses, took_us)

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        return self._world.emit(until_us, timeline)

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Doubles]:
        return self._world.true_quality(requests, responses)

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        return self._world.reference_policies(requests)


def shifting(world: World, kind: str, app: str) -> ShiftingWorld:
    """The world as one that can be shifted by `kind`; raises `Refused` with the kinds that it has."""
    kinds = getattr(world, "SHIFTS", {})
    if kind not in kinds:
        known = f"only {', '.join(kinds)}" if kinds else "none"
        raise Refused(
            f"the world of {app} must have a shift of kind {kind!r}, got {known}: "
            "choose another drill, or give the class of the world SHIFTS and shift(kind, share)"
        )
    return world  # type: ignore[return-value]
