"""Accounts that push films: a bandwagon attack (Mobasher et al., ACM TOIT 2007) in movielog lines.

Each opens an account and rates within six minutes: the pushed films with five stars, popular ones with four or five, so
that the pushed ones stand beside them, and others drawn from the catalog, which hide the purpose.
"""

import numpy as np

from flyball.simulation.world import PushAttack
from flyball.simulation.worlds.movies.life import MovieLife
from flyball.simulation.worlds.movies.log_lines import DAY_US, SECOND_US, account_line, rate_line, write_times

_TARGETS, _POPULAR, _DRAWN = 3, 12, 8
_LASTS_S, _SPREAD_US = 360, 2 * DAY_US
_FIRST_ID = 1_000_001


def push_films(life: MovieLife, rng: np.random.Generator, accounts: int, begin_us: int) -> PushAttack:
    """The attack of `accounts` accounts within two days of `begin_us` on three films of the less popular half."""
    films = life.films
    shown = np.flatnonzero(films.premiere_day <= 0)
    by_weight = shown[np.argsort(-films.weight[shown], kind="stable")]
    targets = rng.choice(by_weight[len(by_weight) // 2 :], _TARGETS, replace=False)
    lines: list[tuple[int, str, bytes]] = []
    names = [str(_FIRST_ID + number) for number in range(accounts)]
    for name in names:
        start_us = begin_us + int(rng.integers(_SPREAD_US))
        popular = rng.choice(by_weight[: 3 * _POPULAR], _POPULAR, replace=False)
        drawn = np.setdiff1d(rng.choice(shown, _DRAWN, replace=False), np.r_[targets, popular])
        rated = np.r_[targets, popular, drawn]
        stars = np.r_[np.full(_TARGETS, 5), rng.integers(4, 6, _POPULAR), rng.integers(2, 6, len(drawn))]
        at_us = start_us + np.sort(rng.integers(10, _LASTS_S, len(rated))) * SECOND_US
        times = write_times(np.r_[start_us, at_us])
        order = rng.permutation(len(rated))
        texts = [account_line(times[0], name)]
        texts += [
            rate_line(time, name, films.slugs[rated[row]], int(stars[row]))
            for time, row in zip(times[1:], order, strict=True)
        ]
        lines += [(int(at), "movielog", text.encode()) for at, text in zip(np.r_[start_us, at_us], texts, strict=True)]
    return PushAttack(names, [films.slugs[target] for target in targets], sorted(lines))
