"""The consumers of an application's log, in order of priority."""

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

import msgspec

from flyball.core import Elapsed, FlyballError
from flyball.events import AssignedPartitions, EventLog, Offsets
from flyball.features import ApplyDelays, FeatureConsumer, rebuild
from flyball.history import HistoryConsumer
from flyball.operations.leadership import shared_consumers
from flyball.operations.traced import OutcomeSpans, traced
from flyball.operations.worker import Consumer
from flyball.outcomes import IntervalConsumer, OutcomeConsumer, Prediction
from flyball.releases import ReleaseState, current, versions_in_service
from flyball.runtime import FEATURES_CONSUMER, STATE_CONSUMER, Runtime
from flyball.state import StateConsumer, View
from flyball.tasks import AdaptedInterval
from flyball.tracing import ANSWER, APPEND

STATE_BATCH, HISTORY_BATCH, OUTCOME_BATCH = 2_000, 10_000, 5_000
FLUSH_US, ANSWERED_US = 5_000_000, 60_000_000
SETTLE_US = 60_000_000
FORGET_US, KEEP_EXPOSURES_US = 3_600_000_000, 400 * 86_400_000_000
"""How often counts of answers are looked through, and how long they are kept: a year of releases can be shown."""
RELEASE_US = 5_000_000
FEATURE_LOCK = "features.lock"
STATE_REBUILD_CONSUMER = "state_rebuild"
"""The name of the consumer that builds views that are new or changed, beside those that serve."""

_logger = logging.getLogger("flyball.worker")

_FIRST_SPANS = {
    STATE_CONSUMER: APPEND,
    FEATURES_CONSUMER: APPEND,
    "history": APPEND,
    "outcomes": APPEND,
    "predictions": ANSWER,
}
"""{consumer that adds to traces: the first span of what it applies}."""


def consumers_of(
    runtime: Runtime,
    flush_us: int = FLUSH_US,
    *,
    rebuilding: bool = True,
    token: int = 0,
    assigned: Collection[int] | None = None,
) -> list[Consumer]:
    """State and features first, since responses depend on them, then history, then outcomes.

    The delays with which the first two apply events are measured, for training (`Runtime.apply_delays_path`).
    `flush_us`: how long history may buffer a part that is not full; 0: it writes whenever it has caught up.
    `rebuilding`: whether new or changed features are rebuilt when their offsets are first read; False for a caller that
    only needs the consumers' offsets. `token`: of the lease of the outcomes, which a writer with a higher one has taken
    over; 0 without leases. `assigned`: the partitions of the log that this worker applies to state and history, where
    others apply the rest at the same time; None: all. Each consumer opens its stores when first used, so that an
    unreadable file stops that consumer alone.
    """
    log, predictions = runtime.log, runtime.predictions
    delays = ApplyDelays(runtime.apply_delays_path, runtime.clock.now_us)
    changed = None if runtime.tracer is None else OutcomeSpans(runtime.tracer).changed
    outcomes = OutcomeConsumer(
        runtime.schema, runtime.app.task.about, runtime.outcomes_path, log=log, changed=changed, token=token
    )
    responded = _at("predictions", outcomes, len(predictions.ends()))
    happened = _at("events", outcomes, len(log.ends()))
    settle = at_most_every(SETTLE_US, lambda now_us: outcomes.settle(now_us, all_events=happened() == log.ends()))
    shared = () if assigned is None else shared_consumers(runtime)
    state, rebuild_state = _state(runtime, rebuilding, assigned if "state" in shared else None)
    history = _history("history", log, lambda: runtime.history_consumer, HISTORY_BATCH, flush_us)
    answered_us = flush_us and max(flush_us, ANSWERED_US)
    consumers = [
        _timed(state, delays),
        rebuild_state,
        *_features(runtime, delays, rebuilding),
        _only(history, assigned) if assigned is not None and "history" in shared else history,
        Consumer(
            "predictions",
            predictions,
            responded,
            outcomes.apply_predictions,
            OUTCOME_BATCH,
            settle,
            close=outcomes.close,
        ),
        Consumer("outcomes", log, happened, outcomes.apply_events, OUTCOME_BATCH),
        Consumer(
            "exposures",
            predictions,
            lambda: runtime.exposure_counter.offsets(len(predictions.ends())),
            lambda slices: runtime.exposure_counter.apply(slices),
            OUTCOME_BATCH,
            at_most_every(FORGET_US, lambda now_us: runtime.exposure_counter.forget_before(now_us - KEEP_EXPOSURES_US)),
        ),
        *_intervals(runtime, token),
        _history(
            "prediction_history", predictions, lambda: runtime.prediction_history_consumer, OUTCOME_BATCH, answered_us
        ),
    ]
    return consumers if runtime.tracer is None else [_in_traces(runtime, consumer) for consumer in consumers]


def _in_traces(runtime: Runtime, consumer: Consumer) -> Consumer:
    """The consumer with spans in the traces of what it applies, where that is what traces are about."""
    first = _FIRST_SPANS.get(consumer.name)
    return (
        consumer if first is None or runtime.tracer is None else traced(consumer, runtime.tracer, runtime.clock, first)
    )


def _intervals(runtime: Runtime, token: int) -> list[Consumer]:
    """The consumers that calibrate prediction intervals: the task's as declared now, and those of other levels that
    versions in service predict."""
    return [
        consumer
        for number, interval in enumerate(adapted_intervals(runtime))
        for consumer in _interval(runtime, interval, number, token)
    ]


def adapted_intervals(runtime: Runtime) -> list[AdaptedInterval]:
    """The prediction intervals that outcomes adapt, one of each level, the task's first."""
    if not runtime.app.task.about.values:
        return []
    versions: Iterable[str] = ()
    try:
        versions = versions_in_service(current(runtime.registry))
    except FlyballError as error:  # a home whose registry is away adapts the task's intervals alone
        _logger.warning("intervals of versions in service wait for the next start of the worker: %s", error)
    intervals: dict[float, AdaptedInterval] = {}
    for version in ("", *versions):
        with suppress(FlyballError):  # such a version cannot serve: what loads it says why
            interval = runtime.about_of(version).interval
            if interval is not None:
                intervals.setdefault(interval.level, interval)
    return list(intervals.values())


def _interval(runtime: Runtime, interval: AdaptedInterval, number: int, token: int) -> list[Consumer]:
    """The two consumers of one level. Outcomes wait until the predictions have been read."""
    log, predictions, of_level = runtime.log, runtime.predictions, f"_{interval.level:g}" if number else ""

    def interval_of(prediction: Prediction) -> AdaptedInterval | None:
        about = runtime.about_of_answer(prediction)
        return None if about is None else about.interval

    consumer = IntervalConsumer(
        runtime.schema,
        runtime.app.task.about,
        interval,
        runtime.intervals_path(interval.level),
        log,
        interval_of,
        token,
    )

    def answered() -> Offsets:
        return consumer.offsets("predictions", len(predictions.ends()))

    return [
        Consumer(
            f"interval_answers{of_level}",
            predictions,
            answered,
            consumer.apply_predictions,
            OUTCOME_BATCH,
            at_most_every(SETTLE_US, consumer.forget_old),
            close=consumer.close,
        ),
        Consumer(
            f"intervals{of_level}",
            log,
            lambda: consumer.offsets("events", len(log.ends())),
            consumer.apply_events,
            OUTCOME_BATCH,
            active=lambda: sum(predictions.ends()) - sum(answered()) < OUTCOME_BATCH,
        ),
    ]


def _history(name: str, log: EventLog, consumer: Callable[[], HistoryConsumer], batch: int, flush_us: int) -> Consumer:
    """The consumer that writes a log to Parquet; `consumer()` opens it when first used."""
    flush = at_most_every(flush_us, lambda now_us: consumer().flush())
    return Consumer(name, log, lambda: consumer().offsets(), lambda slices: consumer().apply(slices), batch, flush)


def _only(consumer: Consumer, assigned: Collection[int]) -> Consumer:
    """The consumer, of these partitions of its log."""
    log, offsets = AssignedPartitions(consumer.log, assigned), consumer.offsets
    return msgspec.structs.replace(consumer, log=log, offsets=lambda: log.within(offsets()))


def _state(runtime: Runtime, in_service: bool, assigned: Collection[int] | None) -> tuple[Consumer, Consumer]:
    """The consumer of the serving views, of the partitions `assigned` (None: of all), and the one that builds new or
    changed views.

    `in_service`: also those of the versions in service, which are looked up again after each change of a release. Views
    that nothing needs any more are dropped by the first consumer, or, where workers share its work, by the second.
    """
    log, partitions = runtime.log, len(runtime.log.ends())
    state = StateConsumer(
        runtime.views, runtime.state, partitions=partitions, beside=assigned is not None, assigned=assigned
    )
    folds = Consumer(STATE_CONSUMER, log, state.offsets, state.apply, STATE_BATCH)
    builder, keep = state, at_most_every(RELEASE_US, lambda now_us: None)
    if assigned is None:
        folds = msgspec.structs.replace(folds, at_end=_keeping(runtime, state, in_service, drops=True))
    else:
        folds = _only(
            msgspec.structs.replace(folds, at_end=_keeping(runtime, state, in_service, drops=False)), assigned
        )
        builder = StateConsumer(runtime.views, runtime.state, partitions=partitions, beside=True)
        keep = at_most_every(RELEASE_US, _keeping(runtime, builder, in_service, drops=True))

    def active() -> bool:
        keep(runtime.clock.now_us())
        return bool(builder.rebuilding)

    rebuilds = Consumer(
        STATE_REBUILD_CONSUMER,
        log,
        builder.rebuild_offsets,
        builder.rebuild,
        STATE_BATCH,
        at_end=lambda now_us: builder.swap(),
        active=active,
    )
    return folds, rebuilds


def _keeping(runtime: Runtime, state: StateConsumer, in_service: bool, drops: bool) -> Callable[[int], None]:
    """Looks from time to time for what is released, and drops views that nothing needs (`drops`)."""
    if not in_service:
        return lambda now_us: None
    keep = _KeepViews(runtime, state)
    look = at_most_every(RELEASE_US, lambda now_us: keep.look())
    keep.look()

    def kept(now_us: int) -> None:
        look(now_us)
        if drops:
            state.drop_unused()

    return kept


class _KeepViews:
    """Keeps the list of views of the state's consumer: those of the application and of the versions under release."""

    def __init__(self, runtime: Runtime, state: StateConsumer) -> None:
        self._runtime, self._state, self._serial, self._trouble = runtime, state, -1, ""

    def look(self) -> None:
        """Update the list after a change of the release state."""
        try:
            release = current(self._runtime.registry)
            if release.serial != self._serial:
                self._state.replace(views_in_service(self._runtime, release))
                self._serial = release.serial
            self._trouble = ""
        except FlyballError as error:  # when the registry cannot be read, the present views are kept
            if str(error) != self._trouble:
                self._trouble = str(error)
                _logger.warning("views stay those of release %d: %s", self._serial, error)


def views_in_service(runtime: Runtime, release: ReleaseState) -> list[View]:
    """The views of the application as declared now, and of each version under release as declared then."""
    views = {view.spec.name: view for view in runtime.views}
    for view in runtime.views_of_versions(versions_in_service(release)):
        views.setdefault(view.spec.name, view)
    return list(views.values())


def _features(runtime: Runtime, delays: ApplyDelays, rebuilding: bool) -> list[Consumer]:
    """The consumer of the declared features, if any."""
    log, groups = runtime.log, runtime.app.task.about.feature_groups
    if not groups:
        return []
    consumer = FeatureConsumer(
        runtime.schema,
        groups,
        runtime.feature_state,
        partitions=len(log.ends()),
        clock=runtime.clock,
        lock=runtime.home / FEATURE_LOCK,
        log=log,
    )

    def offsets() -> Offsets:
        unready = consumer.unready() if rebuilding else []
        for group in groups:
            if group.name in unready:
                rebuild(
                    log,
                    runtime.schema,
                    group,
                    runtime.feature_state,
                    clock=runtime.clock,
                    lock=runtime.home / FEATURE_LOCK,
                )
        return consumer.offsets()

    return [_timed(Consumer(FEATURES_CONSUMER, log, offsets, consumer.apply, STATE_BATCH), delays)]


def _timed(consumer: Consumer, delays: ApplyDelays) -> Consumer:
    timed, measure = delays.timed(consumer.name, consumer.apply), delays.at_end(consumer.name)

    def at_end(now_us: int) -> None:
        measure(now_us)
        if consumer.at_end is not None:
            consumer.at_end(now_us)

    return msgspec.structs.replace(consumer, apply=timed, at_end=at_end)


def _at(stream: str, outcomes: OutcomeConsumer, partitions: int) -> Callable[[], Offsets]:
    return lambda: outcomes.offsets(stream, partitions)


def at_most_every(period_us: int, work: Callable[[int], object]) -> Callable[[int], None]:
    """`work`, called at most every `period_us`; the first call only starts the period."""
    elapsed, last = Elapsed(), list[int]()

    def throttled(now_us: int) -> None:
        passed_us = elapsed.us(now_us)
        if period_us and not last:
            last.append(passed_us)
        if not last or passed_us - last[0] >= period_us:
            work(now_us)
            last[:] = [passed_us]

    return throttled
