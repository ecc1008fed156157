"""How many users a shift of taste needs to be seen by the losses of lists, in worlds of the movies of several sizes.

A world lives for three weeks without a service. Lists of EASE, learned from what was liked, are shown for ten usual
days, and then to the same users with the tastes of others (`concept-shift`), or as before (the null). The losses of
each day go through the monitor of performance: its e-value, and the day on which there is evidence for a finding.

    python benchmarks/list_shift.py [--seeds 1,2] [--sizes 300:200:0.2,800:600:0.75] [--days 5] [--json]

A size is USERS:FILMS:SEARCH, the share of the sessions without a film from the list in which a film is searched.
"""

import argparse
import json
from typing import Any

import numpy as np

from flyball.monitoring.performance.loss_windows import rise_p
from flyball.monitoring.performance.observed import loss_plan, plan_e_value
from flyball.simulation.world import DAY_US
from flyball.simulation.worlds.movies import Habits, MovieLife, make_life, taste
from flyball.simulation.worlds.movies.behavior import LIKED_MINUTES, Viewings
from flyball.statistics import e_of_p

PAST_DAYS, USUAL_DAYS, K, RIDGE = 21, 10, 20, 30.0
SHARE, RUN_LENGTH = 0.25, 30
"""A finding needs the evidence of so many days, divided by the monitor's share of the budget: one false finding a month
in the drill of movies, where no other monitor looks at how good all answers are."""


def lived(users: int, films: int, search: float, seed: int) -> tuple[MovieLife, np.ndarray]:
    """The world after its past, and who liked what: bool (users, films)."""
    habits = Habits(sessions_a_day=1.0, search_share=search, corrupt_share=0.0, duplicate_share=0.0)
    life = make_life(users, films, seed=seed, start_us=0, habits=habits)
    liked = np.zeros((len(life.users), films), bool)
    for step in range(1, 2 * PAST_DAYS + 1):
        sessions = life.sessions(step * DAY_US // 2)
        choices = life.decide(sessions, [None] * len(sessions))
        long = choices.minutes >= LIKED_MINUTES
        liked[sessions.users[long], choices.film[long]] = True
        life._viewings, life.now_us = Viewings.none(), step * DAY_US // 2
    return life, liked


def lists_of(life: MovieLife, liked: np.ndarray) -> np.ndarray:
    """The list of each user by EASE, int64 (users, K), without films that the user has watched."""
    counts = liked.astype(np.float64)
    inverse = np.linalg.inv(counts.T @ counts + RIDGE * np.eye(liked.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    scores = counts @ weights
    scores[:, ~life.premiered()] = -np.inf
    for user in range(len(scores)):
        scores[user, list(life.watched(user))] = -np.inf
    return np.argsort(-scores, axis=1)[:, :K]


def losses_of_a_day(life: MovieLife, lists: np.ndarray, tastes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """1 less the reciprocal rank of what was liked from the list, of each user who came on a day."""
    came = (rng.random(len(tastes)) < 1 - np.exp(-life.users.activity)) & life.joined()
    shown = lists[came]
    likes = taste.like_probability(taste.affinity(tastes[came], life.films.tastes[shown], life.films.quality[shown]))
    started = rng.random(shown.shape) < taste.attention_at(K) * taste.accept_probability(likes)
    rank = started.argmax(axis=1)
    taken = started.any(axis=1) & (rng.random(len(shown)) < likes[np.arange(len(shown)), rank])
    return 1 - taken / (rank + 1.0)


def measured(users: int, films: int, search: float, seed: int, days: int, shifts: bool) -> dict[str, Any]:
    """The losses and e-values of `days` days; `found`: the first with evidence enough, None for none."""
    life, liked = lived(users, films, search, seed)
    lists, rng = lists_of(life, liked), np.random.default_rng([seed, 21])
    usual = [losses_of_a_day(life, lists, life.users.tastes, rng) for _ in range(USUAL_DAYS)]
    if shifts:
        life.turn_tastes(1.0)
    e_values, evidence, worth, found = [], 1.0, [], None
    for day in range(1, days + 1):
        now = losses_of_a_day(life, lists, life.users.tastes, rng)
        plan, p = loss_plan(usual, "list"), rise_p(usual, now)
        e_value = 1.0 if plan is None or p is None else min(plan_e_value(plan, now), float(e_of_p([max(p, 1e-300)])[0]))
        evidence = (1 + evidence) * e_value if day > 1 else e_value
        found = day if found is None and evidence >= RUN_LENGTH / SHARE else found
        e_values.append(e_value)
        worth.append(1 - now.mean())
    before = 1 - float(np.concatenate(usual).mean())
    size = {"users": users, "films": films, "search": search, "seed": seed, "shifts": shifts, "lists": len(usual[0])}
    return {**size, "before": before, "after": float(np.mean(worth)), "e_values": e_values, "found": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--sizes", default="300:200:0.2,300:600:0.75,800:600:0.75")
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = []
    for size in chosen.sizes.split(","):
        users, films, search = size.split(":")
        for seed in map(int, chosen.seeds.split(",")):
            for shifts in (False, True):
                rows.append(measured(int(users), int(films), float(search), seed, chosen.days, shifts))
    if chosen.json:
        print(json.dumps(rows))
        return
    print("users  films  search  seed  shift  users a day  reciprocal rank  e-values of the days, and the day found")
    for row in rows:
        e_values = " ".join(f"{e_value:.3g}" for e_value in row["e_values"])
        print(
            f"{row['users']:>5}  {row['films']:>5}  {row['search']:>6}  {row['seed']:>4}  "
            f"{'yes' if row['shifts'] else 'no':>5}  {row['lists']:>11}  {row['before']:.3f} → {row['after']:.3f}    "
            f"{e_values}: {row['found'] or 'not found'}"
        )


if __name__ == "__main__":
    main()
