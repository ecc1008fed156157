"""Spans of answers: waiting, reading features, scoring by each version, and the record in the log.

The trace of an answer has the id of the answer (16 bytes, which `flyball why` prints in letters). A request that comes
with the trace of its caller is in both: a span in the caller's trace is linked to the answer's own.
"""

from collections.abc import Sequence

from flyball.core import Clock, Stopwatch
from flyball.outcomes import Prediction, id_bytes
from flyball.serving.answering.engine import ScoringProgress
from flyball.tasks import FALLBACK_LEVELS, Request
from flyball.tracing import ANSWER, CallerContext, Tracer, TraceSpan, parse_traceparent, span_id, trace_of

_MOST_OPEN = 10_000
"""Requests whose times are kept until they are answered; those answered by a timer leave theirs behind."""

Segment = tuple[str, float, float]
"""(version, "" while the state is read; begin and end on the stopwatch, in seconds)."""


class TimedProgress(ScoringProgress):
    """The progress of a batch that notes how long each version took, and reading the state."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch
        self._name, self._since_s = "", stopwatch.read_s()
        self.segments: list[Segment] = []

    @property
    def version(self) -> str:
        return self._name

    @version.setter
    def version(self, name: str) -> None:
        now_s = self._stopwatch.read_s()
        self.segments.append((self._name, self._since_s, now_s))
        self._name, self._since_s = name, now_s


class AnswerSpans:
    """Makes the spans of answers, and hands those that are traced to `tracer`.

    A share of all answers is traced (`Tracer.samples`), and besides each one that failed or came from a fallback, and
    each whose caller records its own trace.
    """

    def __init__(self, tracer: Tracer, kind: str, worker: str, clock: Clock, stopwatch: Stopwatch) -> None:
        self._tracer, self._kind, self._worker = tracer, kind, worker
        self._clock, self._stopwatch = clock, stopwatch
        self._open: dict[str, Sequence[Segment]] = {}

    def progress(self) -> TimedProgress:
        """The progress to answer the next batch with."""
        return TimedProgress(self._stopwatch)

    def scored(self, requests: Sequence[Request], progress: TimedProgress) -> None:
        """The engine has answered a batch."""
        if len(self._open) > _MOST_OPEN:
            self._open.clear()
        for request in requests:
            self._open[request.id] = progress.segments

    def answered(self, request: Request, prediction: Prediction, began_s: float, ended_s: float) -> None:
        """An answer was given, to a request that arrived at `began_s` on the stopwatch."""
        segments = self._open.pop(request.id, ())
        trace = trace_of(id_bytes(prediction.id))
        caller = parse_traceparent(request.traceparent) if request.traceparent else None
        if not (self._is_traced(trace, prediction) or (caller is not None and caller.sampled)):
            return
        origin_us = request.at_us - round(began_s * 1e6)

        def wall_us(read_s: float) -> int:
            return origin_us + round(read_s * 1e6)

        root = TraceSpan(
            trace=trace,
            name=ANSWER,
            began_us=request.at_us,
            ended_us=wall_us(ended_s),
            kind="server",
            attributes={"flyball.task": self._kind, **_attributes(prediction, self._worker)},
            links=() if caller is None else ((caller.trace, caller.span),),
            error=prediction.failed,
        )
        spans = [root]
        if segments:
            spans.append(_part(root, "wait", request.at_us, max(request.at_us, wall_us(segments[0][1]))))
        for name, kept in _merged(segments).items():
            part = f"score {name}" if name else "read features"
            spans.append(_part(root, part, wall_us(kept[0]), wall_us(kept[1])))
        if caller is not None and caller.sampled:
            spans.append(_in_trace_of(caller, root))
        self._tracer.record(spans)

    def written(self, predictions: Sequence[tuple[Prediction, int]]) -> None:
        """Records of (answer, microseconds it took) are in the log."""
        now_us = self._clock.now_us()
        spans = []
        for prediction, took_us in predictions:
            trace = trace_of(id_bytes(prediction.id))
            if self._is_traced(trace, prediction):
                parent = span_id(trace, ANSWER)
                began_us = prediction.at_us + took_us
                name = "append answer"
                spans.append(
                    TraceSpan(trace=trace, name=name, began_us=began_us, ended_us=max(began_us, now_us), parent=parent)
                )
        self._tracer.record(spans)

    def _is_traced(self, trace: bytes, prediction: Prediction) -> bool:
        return bool(prediction.failed) or prediction.level in FALLBACK_LEVELS or self._tracer.samples(trace)


def _part(root: TraceSpan, name: str, began_us: int, ended_us: int) -> TraceSpan:
    return TraceSpan(trace=root.trace, name=name, began_us=began_us, ended_us=ended_us, parent=root.span)


def _merged(segments: Sequence[Segment]) -> dict[str, tuple[float, float]]:
    """{version: (begin, end)}; the state is read before the first version answers."""
    merged: dict[str, tuple[float, float]] = {}
    for name, began_s, ended_s in segments:
        if name:
            before = merged.get(name)
            merged[name] = (began_s if before is None else before[0], ended_s)
        elif not merged:
            merged[""] = (began_s, ended_s)
        elif list(merged) == [""]:
            merged[""] = (merged[""][0], ended_s)
    return merged


def _in_trace_of(caller: CallerContext, root: TraceSpan) -> TraceSpan:
    """The answer as a part of its caller's trace."""
    return TraceSpan(
        trace=caller.trace,
        name=root.name,
        began_us=root.began_us,
        ended_us=root.ended_us,
        kind="server",
        parent=caller.span,
        attributes=root.attributes,
        links=((root.trace, root.span),),
        error=root.error,
        id=span_id(root.trace, "of the caller"),
    )


def _attributes(prediction: Prediction, worker: str) -> dict[str, str | int | float | bool]:
    attributes: dict[str, str | int | float | bool] = {
        "flyball.prediction": prediction.id,
        "flyball.level": prediction.level,
        "flyball.process": worker,
        "flyball.state_age_ms": prediction.stale_us / 1e3,
    }
    if prediction.version:
        attributes["flyball.version"] = prediction.version
    if prediction.arm:
        attributes["flyball.arm"] = prediction.arm
    if prediction.assigned:
        attributes["flyball.assigned_version"] = prediction.assigned
    return attributes
