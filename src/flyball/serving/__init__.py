"""Serving: an answer in time, stamped and logged.

Promises: a well-formed request for a list gets one before the deadline, whatever versions and stores do; its level
says from which rung of the ladder it came; every answer leaves one record in the log of predictions; a new champion
takes over without a dropped request; malformed requests get a problem document, never a 500.
"""

from flyball.serving.asks import Ask, new_ask, seed_of
from flyball.serving.connections import Dispatcher, Receiver
from flyball.serving.engine import Engine, Progress, Serving
from flyball.serving.figures import FAILURES, LATENCY_MS, LEVELS
from flyball.serving.http import make_app
from flyball.serving.keeper import Keeper
from flyball.serving.lists import Memory
from flyball.serving.loading import Loaded, load_version
from flyball.serving.once import answer_once
from flyball.serving.process import REPLACE_ME, run, serve
from flyball.serving.service import Service

__all__ = [
    "FAILURES",
    "LATENCY_MS",
    "LEVELS",
    "REPLACE_ME",
    "Ask",
    "Dispatcher",
    "Engine",
    "Keeper",
    "Loaded",
    "Memory",
    "Progress",
    "Receiver",
    "Service",
    "Serving",
    "answer_once",
    "load_version",
    "make_app",
    "new_ask",
    "run",
    "seed_of",
    "serve",
]
