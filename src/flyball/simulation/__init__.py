"""Worlds whose truth is known, to drive an application live or in virtual time.

Promises: the same seed gives the same users, films, choices and log lines; what was corrupted on the way is counted;
the probability that a user likes a film is known, so every measured figure can be held against the true one.
"""

from flyball.simulation.demo import (
    WorldPlan,
    drive_plan,
    new_plan,
    read_plan,
    seed_home,
    world_of,
    world_program,
)
from flyball.simulation.live import Driver, DriveReport, HttpService, Service, drive_http, stop_on_signals
from flyball.simulation.report import SimulationReport
from flyball.simulation.virtual import simulate
from flyball.simulation.worlds.movies.seed import seed_history
from flyball.simulation.worlds.movies.truth import Best, Judged, best_lists, judge, rankings, true_quality
from flyball.simulation.worlds.movies.world import Asks, Batch, Decided, Habits, ProfileRow, Stamps, World, make_world

__all__ = [
    "Asks",
    "Batch",
    "Best",
    "Decided",
    "DriveReport",
    "Driver",
    "Habits",
    "HttpService",
    "Judged",
    "ProfileRow",
    "Service",
    "SimulationReport",
    "Stamps",
    "World",
    "WorldPlan",
    "best_lists",
    "drive_http",
    "drive_plan",
    "judge",
    "make_world",
    "new_plan",
    "rankings",
    "read_plan",
    "seed_history",
    "seed_home",
    "simulate",
    "stop_on_signals",
    "true_quality",
    "world_of",
    "world_program",
]
