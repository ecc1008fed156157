"""Checks that every simulated world must pass, those of Flyball and your own.

    @pytest.mark.parametrize("check", WORLD_CHECKS, ids=lambda check: check.__name__)
    def test_my_world(check):
        check(app)

`app`: an application with a world so small that two days are simulated in about a second.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from flyball.app import App
from flyball.core import ManualClock
from flyball.runtime import Runtime, load_settings
from flyball.simulation import DAY_US, Timeline, World, WorldBatch, WorldRequest, ingest_pieces, open_world
from flyball.tasks import Response

START_US = 1_767_225_600_000_000
"""2026-01-01."""
_STEP_US = DAY_US // 8
_TIMELINE = Timeline()


def lived(app: App, seed: int = 1, days: int = 2) -> tuple[World, list[WorldRequest], list[WorldBatch]]:
    """A world after `days` days, with a reference policy for all requests, and until no lines are pending."""
    world = open_world(app.world, app.name, seed=seed, start_us=START_US)
    requests, batches, now_us = [], [world.emit(START_US, _TIMELINE)], START_US
    while now_us < START_US + days * DAY_US or batches[-1].pending:
        now_us += _STEP_US
        if now_us <= START_US + days * DAY_US:
            day_requests = world.requests(now_us, _TIMELINE)
            responses = next(iter(world.reference_policies(day_requests).values()))
            world.decide(day_requests, responses, [1_000] * len(day_requests))
            requests += day_requests
        batches.append(world.emit(now_us, _TIMELINE))
        assert now_us < START_US + 60 * DAY_US, "what has begun must come to an end"
    return world, requests, batches


def check_a_seed_decides_everything(app: App) -> None:
    """The same seed gives the same requests and batches, another seed gives others."""
    (_, requests, batches), (_, requests_again, batches_again) = lived(app), lived(app)
    assert (requests, batches) == (requests_again, batches_again)
    assert lived(app, seed=2)[2] != batches


def check_requests_come_in_order(app: App) -> None:
    """Requests are numbered from 0, their times are ascending, and they are in the requested time range."""
    _, requests, _ = lived(app)
    assert requests, "two days must bring requests"
    assert [request.number for request in requests] == list(range(len(requests)))
    times = [request.at_us for request in requests]
    assert times == sorted(times)
    assert START_US <= times[0] <= times[-1] < START_US + 2 * DAY_US


def check_the_application_takes_the_lines_in(app: App) -> None:
    """All lines except planted broken ones are accepted, and planted duplicates do not count."""
    _, _, batches = lived(app)
    planted = sum((Counter(batch.planted) for batch in batches), Counter[str]())
    quarantined = duplicates = accepted = 0
    with TemporaryDirectory() as folder:
        runtime = Runtime(app, load_settings(Path(folder)), ManualClock(START_US + 60 * DAY_US))
        for number, batch in enumerate(batches):
            for format, lines in batch.lines:
                report = ingest_pieces(runtime, format, [b"\n".join(lines)], f"world/{format}/{number}", "history")
                quarantined += sum(report.quarantined.values())
                duplicates += report.duplicates
                accepted += sum(report.accepted.values())
    assert accepted > 0
    assert quarantined == planted["broken"]
    assert duplicates == planted["duplicate"]


def check_outcomes_are_of_requests(app: App) -> None:
    """A true outcome belongs to a request of the world and is a finite number."""
    _, requests, batches = lived(app)
    outcomes = [outcome for batch in batches for outcome in batch.outcomes]
    assert outcomes, "two days must bring outcomes"
    assert {outcome.request for outcome in outcomes} <= {request.number for request in requests}
    assert all(np.isfinite(outcome.value) for outcome in outcomes)


def check_quality_is_known_of_every_response(app: App) -> None:
    """True metrics are finite, one value for each response; the first policy is best by the first metric."""
    world, _, _ = lived(app)
    requests = world.requests(START_US + 40 * DAY_US, _TIMELINE)
    policies = world.reference_policies(requests)
    main = {name: _quality(world, requests, responses)[0] for name, responses in policies.items()}
    assert all(len(responses) == len(requests) for responses in policies.values())
    assert next(iter(main.values())) == max(main.values()), "the best policy comes first"
    _quality(world, requests, [Response()] * len(requests))


def _quality(world: World, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> list[float]:
    metrics = world.true_quality(requests, responses)
    assert metrics, "a world has one true metric or more"
    for values in metrics.values():
        assert values.shape == (len(requests),)
        assert np.isfinite(values).all()
    return [float(values.mean()) for values in metrics.values()]


WORLD_CHECKS: tuple[Callable[[App], None], ...] = (
    check_a_seed_decides_everything,
    check_requests_come_in_order,
    check_the_application_takes_the_lines_in,
    check_outcomes_are_of_requests,
    check_quality_is_known_of_every_response,
)
