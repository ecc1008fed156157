"""Lines of an attack are well-formed, of new accounts, quick, and give the pushed films five stars."""

import numpy as np

from flyball.apps.movielog import MovieLog
from flyball.apps.movies import app
from flyball.simulation.world import DAY_US, Timeline
from flyball.simulation.worlds.movies.world import MovieWorld

START_US = 1_767_571_200_000_000


def test_each_account_joins_and_rates_the_targets_within_minutes() -> None:
    world = MovieWorld(seed=1, start_us=START_US, users=50, items=100)
    before = world.rng.bit_generator.state
    attack = world.push_attack(np.random.default_rng(2), 7, START_US + DAY_US)
    assert world.rng.bit_generator.state == before, "the world goes on as without an attack"
    assert attack.lines == sorted(attack.lines)
    parser = MovieLog().parser(app.schema)
    by_account: dict[str, list[tuple[int, bytes]]] = {}
    for at_us, format, line in attack.lines:
        assert format == "movielog"
        assert not parser.parse([line]).bad, line
        by_account.setdefault(line.split(b",")[1].decode(), []).append((at_us, line))
    assert sorted(by_account) == sorted(attack.accounts)
    for lines in by_account.values():
        times = [at_us for at_us, _ in lines]
        assert lines[0][1].endswith(b"GET /create_account")
        assert START_US + DAY_US <= times[0] <= times[-1] <= START_US + 3 * DAY_US + 360_000_000
        assert times[-1] - times[0] <= 360_000_000
        rated = dict(line.decode().split("/rate/")[1].split("=") for _, line in lines[1:])
        assert {rated[target] for target in attack.targets} == {"5"}
        assert len(rated) == len(lines) - 1
    known = {line for _, lines in world.emit(START_US, Timeline()).lines for line in lines}
    assert all(any(target.encode() in line for line in known) for target in attack.targets)
