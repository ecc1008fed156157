"""A past for a new application: what a world's users did before the service was there."""

from collections.abc import Iterator

from flyball.core import parse_duration
from flyball.simulation.worlds.movies.world import Batch, World


def seed_history(world: World, until_us: int, step: str = "6h") -> Iterator[Batch]:
    """Live the world from where it is up to `until_us` without a service: users search for themselves.

    The first batch holds the profiles of everyone and everything there from the start, and no lines.
    """
    yield Batch([], list(world.profiles()), {})
    step_us = parse_duration(step)
    while world.now_us < until_us:
        next_us = min(world.now_us + step_us, until_us)
        asks = world.asks(next_us)
        world.decide(asks, [None] * len(asks))
        yield world.emit(next_us)
