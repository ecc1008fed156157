"""The consumers of an application's log, in the order of their hurry."""

from collections.abc import Callable

import msgspec

from flyball.core import Elapsed
from flyball.events import EventLog, Offsets
from flyball.features import ApplyDelays, FeatureConsumer, rebuild
from flyball.operations.worker import Feed
from flyball.outcomes import OutcomeConsumer
from flyball.runtime import FEATURES_FEED, STATE_FEED, Runtime
from flyball.state import StateConsumer

STATE_BATCH, HISTORY_BATCH, OUTCOME_BATCH = 2_000, 10_000, 5_000
FLUSH_US = 5_000_000
SETTLE_US = 60_000_000
FEATURE_LOCK = "features.lock"
STATE_REBUILD_FEED = "state_rebuild"
"""Builds views that are new or declared otherwise, beside those that serve; idle when there are none."""


def feeds_of(runtime: Runtime, flush_us: int = FLUSH_US, *, rebuilding: bool = True) -> list[Feed]:
    """State and features first, since users wait for them, then history, then outcomes.

    How long after they were known the first two apply events is measured, for training (`Runtime.apply_delays_path`).
    `flush_us`: how long history may hold back a part that is not full; 0 writes out whenever it has caught up.
    `rebuilding`: whether features that are new or declared otherwise are rebuilt before this returns; who only looks
    where the feeds stand leaves that to the worker.
    """
    log, predictions = runtime.log, runtime.predictions
    state = StateConsumer(runtime.views, runtime.state, partitions=len(log.ends()))
    delays = ApplyDelays(runtime.apply_delays_path, runtime.clock.now_us)
    history = runtime.history_consumer
    outcomes = OutcomeConsumer(
        runtime.schema, runtime.app.task.about, runtime.outcomes_path, partitions=len(log.ends())
    )
    flush = at_most_every(flush_us, lambda now_us: history.flush())
    responded = _at("predictions", outcomes, len(predictions.ends()))
    happened = _at("events", outcomes, len(log.ends()))
    settle = at_most_every(SETTLE_US, lambda now_us: outcomes.settle(now_us, all_events=happened() == log.ends()))
    return [
        _timed(Feed(STATE_FEED, log, state.offsets, state.apply, STATE_BATCH, _each_rest(state.drop_unused)), delays),
        *_rebuild(log, state),
        *_features(runtime, delays, rebuilding),
        Feed("history", log, history.offsets, history.apply, HISTORY_BATCH, flush),
        Feed("predictions", predictions, responded, outcomes.apply_predictions, OUTCOME_BATCH, settle),
        Feed("outcomes", log, happened, outcomes.apply_events, OUTCOME_BATCH),
    ]


def _rebuild(log: EventLog, state: StateConsumer) -> list[Feed]:
    """What builds views that are new or declared otherwise, if there are any."""
    if not state.rebuilding:
        return []
    active, swap = lambda: bool(state.rebuilding), _each_rest(state.swap)
    return [Feed(STATE_REBUILD_FEED, log, state.rebuild_offsets, state.rebuild, STATE_BATCH, swap, active)]


def _features(runtime: Runtime, delays: ApplyDelays, rebuilding: bool) -> list[Feed]:
    """The feed of the declared features, if there are any."""
    log, groups = runtime.log, runtime.app.task.about.feature_groups
    if not groups:
        return []
    consumer = FeatureConsumer(
        runtime.schema, groups, runtime.feature_state, partitions=len(log.ends()), clock=runtime.clock,
        lock=runtime.home / FEATURE_LOCK,
    )  # fmt: skip
    unready = consumer.unready() if rebuilding else []
    for group in groups:
        if group.name in unready:
            rebuild(
                log, runtime.schema, group, runtime.feature_state, clock=runtime.clock,
                lock=runtime.home / FEATURE_LOCK,
            )  # fmt: skip
    return [_timed(Feed(FEATURES_FEED, log, consumer.offsets, consumer.apply, STATE_BATCH), delays)]


def _timed(feed: Feed, delays: ApplyDelays) -> Feed:
    timed, at_rest = delays.timed(feed.name, feed.apply), delays.at_rest(feed.name)

    def rest(now_us: int) -> None:
        at_rest(now_us)
        if feed.rest is not None:
            feed.rest(now_us)

    return msgspec.structs.replace(feed, apply=timed, rest=rest)


def _each_rest(work: Callable[[], object]) -> Callable[[int], object]:
    return lambda now_us: work()


def _at(stream: str, outcomes: OutcomeConsumer, partitions: int) -> Callable[[], Offsets]:
    return lambda: outcomes.offsets(stream, partitions)


def at_most_every(period_us: int, work: Callable[[int], object]) -> Callable[[int], None]:
    """`work`, called only when `period_us` have passed since its last call; the first call only starts the count."""
    elapsed, last = Elapsed(), list[int]()

    def rest(now_us: int) -> None:
        passed_us = elapsed.us(now_us)
        if period_us and not last:
            last.append(passed_us)
        if not last or passed_us - last[0] >= period_us:
            work(now_us)
            last[:] = [passed_us]

    return rest
