"""Errors planted in outcomes, one at a time; the tests must find each of them."""

from tests.mutations.planted import Planted

_ATTRIBUTION, _CONSUMER, _METRICS, _READING = "attribution.py", "consumer.py", "metrics.py", "reading.py"
_COUNTS, _STORE, _STREAMS = "counts.py", "store.py", "streams.py"

PLANTED_OUTCOMES = (
    # which responses an event follows
    Planted(
        _ATTRIBUTION,
        "first = bisect_left(events, impression.at,",
        "first = bisect_left(events, impression.at + 1,",
        "what is done at once follows nothing",
    ),
    Planted(_ATTRIBUTION, "        if once:", "        if not once:", "one event, an item taken twice"),
    Planted(_ATTRIBUTION, "        if once:", "        if False:", "what completes a label counts for all responses"),
    Planted(
        _ATTRIBUTION, "completed[name].add(label_value.at)", "completed[name].add(0)", "no completion is remembered"
    ),
    Planted(
        _ATTRIBUTION, "completed[name].add(label_value.at)", "completed[name].update(range(label_value.at))", "late"
    ),
    Planted(_ATTRIBUTION, "longest_us = max(", "longest_us = min(", "other events count in the shortest window"),
    Planted(_ATTRIBUTION, "concerning, label.within_us)", "concerning, 10**18)", "every window is endless"),
    Planted(
        _ATTRIBUTION,
        "(event.bits | event.ends | event.voids) >> number & 1",
        "(event.bits | event.voids) >> number & 1",
        "nothing ends a wait",
    ),
    Planted(_ATTRIBUTION, "attribution = closed[key]", "attribution = None", "a closed response is forgotten"),
    Planted(_ATTRIBUTION, "key in closed:", "False:", "a closed response is joined again"),
    Planted(_ATTRIBUTION, "joined.update(window)", "joined = set(window)", "only the last response joins events"),
    Planted(_ATTRIBUTION, "kinds.get(event.kind, 0) + 1", "1", "events of a kind are not counted"),
    Planted(_ATTRIBUTION, "first_at, last_at = window", "last_at, first_at = window", "first and last exchanged"),
    # when a label holds
    Planted(_ATTRIBUTION, "ended_at < held_at", "ended_at <= held_at", "what ends the wait comes before what holds"),
    Planted(_ATTRIBUTION, "ended_at < held_at)", "ended_at < held_at - 1)", "what ends the wait comes too late"),
    Planted(_ATTRIBUTION, "ended_at = min(", "ended_at = max(", "the last of what ends a wait counts"),
    Planted(_ATTRIBUTION, "if t.ends >> number & 1)", "if t.ends)", "what ends the wait for another label"),
    Planted(_ATTRIBUTION, "else min(held_at, at)", "else max(held_at, at)", "a label holds since its last clause"),
    Planted(_ATTRIBUTION, "event.order > latest[0]", "event.order < latest[0]", "the value is that of the first event"),
    Planted(_ATTRIBUTION, "if clause == number)", "if clause != number)", "the value of another label"),
    Planted(_ATTRIBUTION, "if event.bits >> number & 1]", "if event.bits]", "what qualifies for another label"),
    # two streams in any order
    Planted(_STREAMS, "store.put_offsets(stream, reached)", "pass", "what was read is read again"),
    Planted(_STREAMS, "stored.get(partition, 0) for partition", "0 for partition", "reading begins anew"),
    Planted(_STREAMS, "enumerate(piece.records, piece.first)", "enumerate(piece.records)", "offsets begin at 0"),
    Planted(_CONSUMER, "settled if earliest is None else min(settled, earliest)", "settled", "late events are lost"),
    Planted(_CONSUMER, "if event.at >= bar]", "if event.at > bar]", "an event at the first response is lost"),
    Planted(
        _CONSUMER,
        "max(before, min(at_us, before + self.keep_us // _STEPS))",
        "max(before, at_us)",
        "a clock ahead closes what is still to come",
    ),
    Planted(
        _CONSUMER,
        "max(before, min(at_us, before + self.keep_us // _STEPS))",
        "min(at_us, before + self.keep_us // _STEPS)",
        "a clock set back opens what was closed",
    ),
    Planted(_CONSUMER, "now_us - self.window_us - self.keep_us", "now_us", "windows close at once"),
    Planted(_CONSUMER, "closed - self.window_us", "closed", "responses are forgotten before their windows"),
    Planted(_CONSUMER, "first - self.window_us, last", "first, last", "responses before the first event are left out"),
    Planted(_CONSUMER, "((1, after), (-1, before))", "((1, after),)", "what followed before stays counted"),
    Planted(
        _CONSUMER,
        "return  # the same response was appended twice",
        "pass  # the same response was appended twice",
        "a response delivered twice is joined twice",
    ),
    Planted(
        _CONSUMER,
        "if key[0] < closed:\n                continue",
        "if False:\n                continue",
        "a closed response changes",
    ),
    Planted(_CONSUMER, "shown_prediction.id))[0] < closed\n", "shown_prediction.id))[0] < 0\n", "none is closed"),
    Planted(_CONSUMER, "label.responses = 1", "label.responses += 1", "a list with two labels is two responses"),
    Planted(_CONSUMER, "int(label.responses == 0)", "1", "a response with the label is censored too"),
    Planted(_CONSUMER, "label_value.value * label_value.value", "label_value.value", "squares are not squares"),
    Planted(_CONSUMER, "longest_us = max(", "longest_us = min(", "a label is mature after its shortest window"),
    Planted(
        _CONSUMER,
        "if decision in label.impossible_after",
        "if not label.impossible_after",
        "none impossible",
    ),
    # what an event says
    Planted(_READING, "offset << _PARTITION_BITS | partition", "offset", "events of two partitions are one"),
    Planted(_READING, "bits &= ~(1 << label)", "pass", "an event without the number counts"),
    Planted(_READING, "if test(event):", "if True:", "no condition is tested"),
    Planted(
        _READING,
        'return prediction.key if field == "" else prediction.request.get(field)',
        "return prediction.key",
        "every label joins by the key",
    ),
    # what is read from the counts
    Planted(_METRICS, "(minute + 1) * MINUTE_US", "minute * MINUTE_US", "a window closes a minute early"),
    Planted(_METRICS, "+ spec.within_us <= now_us", "+ spec.within_us < now_us", "a window closes late"),
    Planted(_METRICS, "/ (n - 1))", "/ n)", "the interval of a mean is too narrow"),
    Planted(_METRICS, "every.responses - mature.responses", "every.responses", "mature responses are open too"),
    Planted(
        _METRICS,
        "else responses - counts.censored - counts.impossible",
        "else responses",
        "censored responses are without the label",
    ),
    Planted(
        _METRICS,
        "absent = responses - counts.responses - counts.censored - counts.impossible",
        "absent = responses - counts.responses",
        "censored responses have the usual value",
    ),
    Planted(_METRICS, "so_far=_estimate(spec, every.responses", "so_far=_estimate(spec, mature.responses", "so far"),
    Planted(_METRICS, "square / (2 * trials)", "square / trials", "Wilson's middle"),
    Planted(_METRICS, "square / (4 * trials * trials)", "square / (2 * trials * trials)", "Wilson's half"),
    Planted(_COUNTS, "sign * getattr(other, field)", "getattr(other, field)", "what is taken back is added"),
    Planted(_COUNTS, "prediction.version and prediction.values", "prediction.values", "a model behind every value"),
    Planted(_COUNTS, "bisect_left(BOUNDS_US", "bisect_left(BOUNDS_US[1:]", "latencies a bucket too low"),
    Planted("exposure.py", "min(position, best.get", "max(position, best.get", "the worst position of an item"),
    Planted(_STORE, "counts.add(decode_counts(row[0]))", "pass", "counts of a minute are replaced"),
    Planted(
        _STORE,
        'at >= ? AND at <= ? "\n            "ORDER BY at, id',
        'at >= ? AND at <= ? "\n            "ORDER BY at DESC, id',
        "the last response is the first",
    ),
    Planted(
        _STORE,
        "(joined, before, limit - 1, before - 1)",
        "(joined, before, limit - 1, before)",
        "an event is forgotten early",
    ),
    Planted(
        "views.py", 'return item != "", attribution.position', "return False, -attribution.position", "items from below"
    ),
)
