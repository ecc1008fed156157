"""Worlds whose truth is known, to drive an application live or in virtual time.

Promises: the same seed gives the same users, films, choices and log lines; what was corrupted on the way is counted;
the probability that a user likes a film is known, so every measured figure can be held against the true one.
"""

from flyball.simulation.seed import seed_history
from flyball.simulation.world import Asks, Batch, Decided, Habits, ProfileRow, Stamps, World, make_world

__all__ = [
    "Asks",
    "Batch",
    "Decided",
    "Habits",
    "ProfileRow",
    "Stamps",
    "World",
    "make_world",
    "seed_history",
]
