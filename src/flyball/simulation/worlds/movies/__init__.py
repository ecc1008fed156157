"""A movie streaming service: hidden tastes, daily and weekly rhythms, watches and ratings as lines of its log.

Promises: the same seed gives the same users, films, choices and log lines; corrupted lines are counted; the probability
that a user likes a film is known, so that measured metrics can be compared with true ones.
"""

from flyball.simulation.worlds.movies.life import Habits, MovieBatch, MovieLife, ProfileRow, Sessions, make_life
from flyball.simulation.worlds.movies.lists import Best, ListQuality, best_lists, list_quality, rankings
from flyball.simulation.worlds.movies.world import MovieWorld

__all__ = [
    "Best",
    "Habits",
    "ListQuality",
    "MovieBatch",
    "MovieLife",
    "MovieWorld",
    "ProfileRow",
    "Sessions",
    "best_lists",
    "list_quality",
    "make_life",
    "rankings",
]
