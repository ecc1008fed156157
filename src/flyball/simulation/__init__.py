"""Worlds whose truth is known, to drive an application live or in virtual time.

Promises: the same seed gives the same users, films, choices and log lines; what was corrupted on the way is counted;
the probability that a user likes a film is known, so every measured figure can be held against the true one.
"""

from flyball.simulation.live import Driver, DriveReport, HttpService, Service, drive_http, stop_on_signals
from flyball.simulation.seed import seed_history
from flyball.simulation.truth import Judged, judge, rankings, true_quality
from flyball.simulation.world import Asks, Batch, Decided, Habits, ProfileRow, Stamps, World, make_world

__all__ = [
    "Asks",
    "Batch",
    "Decided",
    "DriveReport",
    "Driver",
    "Habits",
    "HttpService",
    "Judged",
    "ProfileRow",
    "Service",
    "Stamps",
    "World",
    "drive_http",
    "judge",
    "make_world",
    "rankings",
    "seed_history",
    "stop_on_signals",
    "true_quality",
]
